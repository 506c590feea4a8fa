// Owns reading /metrics with the parser of Prometheus' own client for Python. Must not judge what it reads.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

const PYTHON = process.env.E2E_PROMETHEUS ?? new URL('../../target/prometheus/bin/python', import.meta.url).pathname;
const SCRIPT = new URL('../prometheus/families.py', import.meta.url).pathname;

/** The text of `/metrics` at that admin address. */
export async function scrape(address) {
  const answer = await fetch(`http://${address}/metrics`);
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  return answer.text();
}

/** What the parser makes of such a text: `{name, type, help, samples: [{name, labels, value}]}`, in the order of the text. */
export async function parse(text) {
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stdin.end(text);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`families.py: exit ${code}`);
  return JSON.parse(out);
}
