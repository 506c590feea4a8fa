// Owns listening in: a hop between a client and the server under test that writes down what goes by. Must not change it.

import http from 'node:http';

/** `url` is where the client is to go; `exchanges` are `{method, path, rawHeaders, headers, body, status}` in order. */
export class Recorder {
  static async start(t, server) {
    const recorder = new Recorder(server);
    await new Promise((resolve) => recorder.hop.listen(0, '127.0.0.1', resolve));
    recorder.url = `http://127.0.0.1:${recorder.hop.address().port}`;
    t.after(() => {
      recorder.hop.close();
      recorder.hop.closeAllConnections();
    });
    return recorder;
  }

  constructor(server) {
    this.exchanges = [];
    this.hop = http.createServer((request, answer) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const { method, url: path, rawHeaders, headers } = request;
        const body = Buffer.concat(chunks);
        // As a flat list, headers go on as they are and nothing is added to them.
        const onward = http.request({ port: server.port, host: '127.0.0.1', method, path, headers: rawHeaders }, (reply) => {
          this.exchanges.push({ method, path, rawHeaders, headers, body: body.toString(), status: reply.statusCode });
          answer.writeHead(reply.statusCode, reply.rawHeaders);
          reply.pipe(answer);
        });
        onward.on('error', () => answer.destroy());
        onward.end(body);
      });
    });
  }
}
