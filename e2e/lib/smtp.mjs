// Owns a look at an SMTP server: whether it is there yet.

import net from 'node:net';

/** The first line a server says. */
export function greeting(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.setTimeout(2_000, () => socket.destroy(new Error('silent')));
    socket.once('error', reject);
    socket.once('data', (bytes) => {
      socket.end('QUIT\r\n');
      resolve(bytes.toString());
    });
  });
}

/** Whether something takes connections there, whatever it says then. */
export function listens(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
