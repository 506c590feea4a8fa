// Sends messages over nodemailer's pool and prints how many milliseconds they took.
// Arguments: the package.json whose dependencies to use, the message as JSON, port, connections, messages, "parts" or "raw".
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const [project, file, port, connections, messages, given] = process.argv.slice(2);
const nodemailer = createRequire(project)('nodemailer');
const { from, to, subject, text, html, raw } = JSON.parse(readFileSync(file, 'utf8'));

const transport = nodemailer.createTransport({
  pool: true,
  host: '127.0.0.1',
  port: Number(port),
  ignoreTLS: true,
  maxConnections: Number(connections),
});
const mail = given === 'raw' ? { envelope: { from, to }, raw } : { from, to, subject, text, html };

// As many at a time as keep every connection busy with another one waiting behind it.
async function send(count) {
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await transport.sendMail(mail);
    }
  };
  await Promise.all(Array.from({ length: 2 * Number(connections) }, lane));
}

// What has run a while is faster in Node: it is measured warm.
await send(Number(messages) / 4);
const begin = performance.now();
await send(Number(messages));
const took = performance.now() - begin;
transport.close();
console.log(took.toFixed(1));
