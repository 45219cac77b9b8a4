// Published ports as the server writes them: ADDRESS:HOST:GUEST/PROTOCOL, the address in brackets
// where it is IPv6.

export interface Published {
  address: string;
  host: number;
  guest: number;
  protocol: string;
}

export function parsePublish(text: string): Published | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[0-9.]+):(\d+):(\d+)\/(tcp|udp)$/.exec(text);
  if (!match) return undefined;
  const [, address = '', host, guest, protocol = ''] = match;
  return { address, host: Number(host), guest: Number(guest), protocol };
}
