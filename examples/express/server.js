import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import express from 'express';
import { openArticles } from './articles.js';
import migration from './reembed.config.js';

export async function startServer({ connectionString, port, definition = migration }) {
  const articles = await openArticles(connectionString, definition);
  const server = createApp(articles).listen(port);
  await once(server, 'listening');
  return {
    url: `http://localhost:${server.address().port}`,
    /** Takes no further request, answers those that it has, and lets go of models and connections. */
    async close() {
      server.close();
      // Else whoever was answered last would hold the end up for as long as a connection is kept alive.
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      await once(server, 'close');
      clearInterval(idle);
      await articles.close();
    },
  };
}

function createApp(articles) {
  const app = express();
  app.use(express.json());
  app.get('/search', async ({ query: { q } }, response) => {
    if (typeof q !== 'string' || q.trim() === '') return response.status(400).json({ error: 'q is missing' });
    // A client that went away need not be searched for.
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.json(await articles.search(q, { limit: 10, signal: gone.signal }));
  });
  app.post('/articles', async ({ body: { body } = {} }, response) => {
    if (typeof body !== 'string' || body.trim() === '') return response.status(400).json({ error: 'body is missing' });
    response.status(201).json(await articles.add(body));
  });
  // Express knows an error handler by its four parameters.
  app.use((error, _request, response, next) => {
    if (response.headersSent || response.destroyed) return next(error);
    const status = error.status ?? 500;
    if (status >= 500) console.error(error);
    response.status(status).json({ error: status < 500 ? error.message : 'something went wrong' });
  });
  return app;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { DATABASE_URL: connectionString, PORT = '3000' } = process.env;
  const server = await startServer({ connectionString, port: Number(PORT) });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
  console.log(`Listening on ${server.url}`);
}
