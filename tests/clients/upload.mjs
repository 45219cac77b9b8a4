// Uploads a file with tus-js-client as it is, goes on after whatever interrupts it, and prints the
// upload's address: upload.mjs FILE ENDPOINT TOKEN NAME CHUNK [SHA256]
import { createReadStream, statSync } from 'node:fs';
import { Upload } from 'tus-js-client';

const [path, endpoint, token, filename, chunk, sha256] = process.argv.slice(2);
const upload = new Upload(createReadStream(path), {
  endpoint,
  chunkSize: Number(chunk) || 1 << 20,
  uploadSize: statSync(path).size,
  retryDelays: Array(80).fill(100),
  headers: { Authorization: `Bearer ${token}` },
  metadata: sha256 ? { filename, sha256 } : { filename },
  onError(error) {
    console.error(String(error));
    process.exitCode = 1;
  },
  onSuccess() {
    console.log(upload.url);
  },
});
upload.start();
