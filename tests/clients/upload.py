"""Uploads a file with tuspy as it is, and prints the upload's address: upload.py FILE ENDPOINT TOKEN NAME CHUNK"""

import sys

from tusclient.client import TusClient

path, endpoint, token, name, chunk = sys.argv[1:]
client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
uploader = client.uploader(
    path,
    chunk_size=int(chunk),
    metadata={"filename": name},
    upload_checksum=True,
    retries=80,
    retry_delay=0.1,
)
uploader.upload()
print(uploader.url)
