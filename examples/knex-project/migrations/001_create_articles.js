// What such a project has before reembed comes: a table with the vectors of an older model.
export async function up(knex) {
  await knex.raw('CREATE EXTENSION IF NOT EXISTS vector');
  await knex.schema.createTable('articles', (table) => {
    table.bigIncrements('id');
    table.text('body').notNullable();
    table.specificType('embedding', 'vector(768)');
  });
  await knex.raw('CREATE INDEX articles_embedding ON articles USING hnsw (embedding vector_cosine_ops)');
}

export async function down(knex) {
  await knex.schema.dropTable('articles');
}
