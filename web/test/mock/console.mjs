// The mock's serial console: one shared history, one writer, a guest that echoes.

const BOOT =
  '\r\n\x1b[32m[  OK  ]\x1b[0m Reached target \x1b[1mMulti-User System\x1b[0m.\r\n' +
  '\x1b[38;2;255;160;60m24-bit colour\x1b[0m\r\n\r\nDebian GNU/Linux 12 web-1 ttyS0\r\n\r\nweb-1 login: ';

let history = Buffer.from(BOOT);
const clients = new Set();
let writer;

function output(bytes) {
  history = Buffer.concat([history, bytes]);
  for (const client of clients) client.send(bytes);
}

function told(client, granted) {
  const reason = granted ? {} : { reason: 'Another page types on this console.' };
  client.send(JSON.stringify({ type: 'writer', granted, ...reason }));
}

export function attach(client) {
  clients.add(client);
  client.send(JSON.stringify({ type: 'offset', offset: 0 }));
  client.send(history);
  client.on('message', (data, binary) => {
    if (binary) {
      if (writer === client) output(Buffer.from(data.toString().replaceAll('\r', '\r\n')));
      return;
    }
    const message = JSON.parse(data.toString());
    if (message.type === 'release' && writer === client) writer = undefined;
    if (message.type !== 'claim') return;
    if (writer && writer !== client) {
      if (!message.steal) return void told(client, false);
      told(writer, false);
    }
    writer = client;
    told(client, true);
  });
  client.on('close', () => {
    clients.delete(client);
    if (writer === client) writer = undefined;
  });
}
