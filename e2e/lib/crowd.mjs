// Owns others who use the same PostgreSQL server, and leave nothing of it to the program.

import net from 'node:net';

/**
 * Others that take every connection of the server on that port as soon as it is free. Answers how many they have, and how to
 * let go.
 */
export function takeAll(t, port, count = 40) {
  const words = ['user', 'postgres', 'database', 'postgres', 'application_name', 'others', ''].map((word) => `${word}\0`).join('');
  const hello = Buffer.alloc(8 + words.length);
  hello.writeInt32BE(hello.length, 0);
  hello.writeInt32BE(196_608, 4);
  hello.write(words, 8, 'latin1');
  const sockets = new Set();
  const held = new Set();
  let isOver = false;
  const take = () => {
    if (isOver) return;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(hello));
    sockets.add(socket);
    // It begins with an R where they are let in.
    socket.on('data', (bytes) => bytes[0] === 0x52 && held.add(socket));
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      held.delete(socket);
      setTimeout(take, 10);
    });
  };
  for (let i = 0; i < count; i += 1) take();
  const release = () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
  t.after(release);
  return { held, release };
}
