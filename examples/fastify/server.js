import { pathToFileURL } from 'node:url';
import Fastify from 'fastify';
import { openArticles } from './articles.js';
import migration from './reembed.config.js';

const text = { type: 'string', pattern: '\\S' };
const searchSchema = { querystring: { type: 'object', required: ['q'], properties: { q: text } } };
const articleSchema = { body: { type: 'object', required: ['body'], properties: { body: text } } };

export async function startServer({ connectionString, port, definition = migration }) {
  const articles = await openArticles(connectionString, definition);
  const app = createApp(articles);
  const url = await app.listen({ port });
  // Takes no further request, answers those that it has, and lets go of models and connections.
  return { url, close: () => app.close() };
}

function createApp(articles) {
  const app = Fastify();
  app.addHook('onClose', () => articles.close());
  // Else whoever was answered last would hold the end up for as long as a connection is kept alive: 72 s.
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close');
  });
  app.get('/search', { schema: searchSchema }, async ({ query: { q } }, reply) => {
    // A client that went away need not be searched for.
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    return articles.search(q, { limit: 10, signal: gone.signal });
  });
  app.post('/articles', { schema: articleSchema }, async ({ body: { body } }, reply) => {
    reply.code(201);
    return articles.add(body);
  });
  app.setErrorHandler((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) console.error(error);
    return reply.code(status).send({ error: status < 500 ? error.message : 'something went wrong' });
  });
  return app;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { DATABASE_URL: connectionString, PORT = '3000' } = process.env;
  const server = await startServer({ connectionString, port: Number(PORT) });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
  console.log(`Listening on ${server.url}`);
}
