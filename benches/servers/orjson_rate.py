"""How many dicts a second `orjson.dumps` alone makes JSON of: what publishing dicts is measured against. `orjson_rate.py SIZE SECONDS`."""

import json
import sys
import time

import orjson
from control import message, record

size, seconds = int(sys.argv[1]), float(sys.argv[2])
payload = record(message(0, size))
count, began = 0, time.process_time()
while time.process_time() - began < seconds:
    for _ in range(1000):
        orjson.dumps(payload)
    count += 1000
print(json.dumps({"size": len(orjson.dumps(payload)), "per_cpu_second": round(count / (time.process_time() - began))}))
