"""python-socketio as a test drives it: a line of JSON in is an event to emit; what comes of it is a line out."""

import json
import sys

import socketio

url, transport, auth = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = socketio.Client()


def say(*line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


client.on("connect", lambda: say("connected", client.transport()))
client.on("connect_error", lambda error: say("refused", error))
# Only newer versions say why.
client.on("disconnect", lambda reason=None: say("disconnected", reason))
client.on("*", lambda event, *data: say("heard", event, *data))

options = {} if transport == "default" else {"transports": [transport]}
try:
    client.connect(url, auth=auth, wait_timeout=10, **options)
except socketio.exceptions.ConnectionError as error:
    say("failed", str(error))
    sys.exit()
for line in sys.stdin:
    event, data, number = json.loads(line)
    reply = None if number is None else lambda data, number=number: say("reply", number, data)
    client.emit(event, data, callback=reply)
client.disconnect()
