// Owns reading mail with a parser that is not ours: Python's `email` and `html.parser`.

import { spawn } from 'node:child_process';

const PARSER = new URL('parse_mail.py', import.meta.url).pathname;

/** `{headers: [[name, value]], parts: [types], text, html, textLinks, htmlLinks, remote, defects}` of a mail's bytes. */
export async function parseMail(bytes) {
  const child = spawn('python3', [PARSER], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stdin.end(bytes);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`parse_mail.py: exit ${code}`);
  return JSON.parse(out);
}

/** The only link of a mail, given as text; fails where there is none or more than one. */
export function onlyLink(text) {
  const links = [...new Set(text.match(/[a-z][a-z0-9+.-]*:\/\/[^\s<>"]+/gi) ?? [])];
  if (links.length !== 1) throw new Error(`expected one link, found ${JSON.stringify(links)} in:\n${text}`);
  return links[0];
}

/** The token of a link: 64 lower-case hex digits, and nothing else in the query. */
export function tokenOf(link) {
  const token = /\?token=([0-9a-f]{64})$/.exec(link)?.[1];
  if (!token) throw new Error(`no token in ${link}`);
  return token;
}

/** The token in a mail's bytes, for thousands of mails: the parser above has seen that mails of this form are well made. */
export function tokenIn(raw) {
  const text = raw.toString('latin1').replace(/=\r\n/g, '').replace(/=3D/g, '=');
  const tokens = [...new Set([...text.matchAll(/\?token=([0-9a-f]{64})(?![0-9a-f])/g)].map((match) => match[1]))];
  if (tokens.length !== 1) throw new Error(`expected one token, found ${tokens.length} in:\n${text}`);
  return tokens[0];
}

/** The Message-ID in a mail's bytes. */
export function messageIdOf(raw) {
  const id = /^message-id: *(<[^>]+>)\r$/im.exec(raw.toString('latin1'))?.[1];
  if (!id) throw new Error(`no Message-ID in:\n${raw}`);
  return id;
}
