// Fails when the first load (what index.html names, and what that imports at once) is larger than
// the bound, gzipped. Lazy chunks are listed, not counted.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const LIMIT = 180 * 1024;
const dist = new URL('../dist/', import.meta.url).pathname;
const html = readFileSync(join(dist, 'index.html'), 'utf8');

const first = new Set();
function follow(file) {
  if (first.has(file)) return;
  first.add(file);
  if (!file.endsWith('.js')) return;
  const text = readFileSync(join(dist, 'assets', file), 'utf8');
  const statics =
    /(?:^|[;}\n])\s*(?:import|export)\s*(?:[\w*{}\s,$]+from\s*)?["']\.\/([^"']+)["']/g;
  for (const [, name] of text.matchAll(statics)) follow(name);
}
for (const [, name] of html.matchAll(/assets\/([^"']+\.(?:js|css))/g)) follow(name);

const gz = (file) => gzipSync(readFileSync(join(dist, 'assets', file)), { level: 9 }).length;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`.padStart(11);
let total = 0;
for (const file of readdirSync(join(dist, 'assets')).sort()) {
  if (!/\.(js|css)$/.test(file)) continue;
  if (first.has(file)) total += gz(file);
  console.log(`${first.has(file) ? 'first' : ' lazy'} ${kib(gz(file))}  ${file}`);
}
console.log(`total ${kib(total)}  of at most ${kib(LIMIT).trim()}`);
if (total === 0 || total > LIMIT) {
  console.error('The first load is outside its bound.');
  process.exit(1);
}
