"""Counts who talks, by the room's Redis stream, and answers !top over REST.

Killed at any moment and started again, it counts each message once and answers each command once.
"""

import base64, hashlib, hmac, json, os, sqlite3, sys, time
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import redis

CHAT = os.environ.get("CHAT_URL", "http://localhost:3004")
ROOM = os.environ.get("ROOM", "video_123")
SECRET, KID = os.environ.get("JWT_SECRET", "").encode(), os.environ.get("JWT_KID")
SIGNING_KEY = os.environ.get("REDIS_SIGNING_KEY", "").encode()
STREAM = f"{os.environ.get('REDIS_PREFIX', 'chat:')}room:{ROOM}:events"
BOT = "top-bot"
if not SECRET:
    sys.exit("JWT_SECRET is missing: the chat's secret, which a local run has in .dev.vars.")

# The place in the stream and what was made of it so far change in one transaction, so that neither can be without the other.
state = sqlite3.connect(os.environ.get("STATE", f"{ROOM}.sqlite"), isolation_level=None)
state.execute("CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER, seq INTEGER)")
state.execute("CREATE TABLE IF NOT EXISTS said (user_id TEXT PRIMARY KEY, username TEXT, messages INTEGER)")


def token():
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT"} | ({"kid": KID} if KID else {})
    claims = {"sub": BOT, "username": "Top", "roles": ["service"], "iat": now, "exp": now + 300}
    signed = b".".join(part(json.dumps(value).encode()) for value in (header, claims))
    return (signed + b"." + part(hmac.digest(SECRET, signed, "sha256"))).decode()


def say(content, key, reply_to):
    headers = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json", "Idempotency-Key": key}
    body = json.dumps({"content": content, "reply_to": reply_to}).encode()
    try:
        urlopen(Request(f"{CHAT}/api/rooms/{quote(ROOM)}/messages", body, headers), timeout=10).close()
    except HTTPError as error:
        if error.code in (401, 429) or error.code >= 500:
            raise  # later, from the same entry
        print("refused:", error, file=sys.stderr)


def genuine(entry):
    text = "\n".join(f"{name}={value}" for name, value in entry.items() if name != "sig")
    return hmac.compare_digest(hmac.new(SIGNING_KEY, text.encode(), hashlib.sha256).hexdigest(), entry.get("sig", ""))


def handle(event, data):
    if event != "new_message" or data["user"]["user_id"] == BOT:
        return
    state.execute(
        "INSERT INTO said VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET username = excluded.username, messages = messages + 1",
        (data["user"]["user_id"], data["user"]["username"]),
    )
    if data["content"] == "!top":
        top = state.execute("SELECT username, messages FROM said ORDER BY messages DESC, username LIMIT 3")
        # The key never makes a second message, so whoever dies before the commit repeats this unheard.
        say(", ".join(f"{name}: {messages}" for name, messages in top), f"top-{data['message_id']}", data["message_id"])


def begin(client):
    """Where to read on; at the very first start from now on."""
    place = state.execute("SELECT epoch, seq FROM place").fetchone()
    if place is None:
        newest = client.xrevrange(STREAM, count=1)
        place = tuple(map(int, newest[0][0].split("-"))) if newest else (0, 0)
        state.execute("INSERT INTO place VALUES (1, ?, ?)", place)
    return place


def follow():
    client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost"), decode_responses=True, socket_timeout=15)
    epoch, seq = begin(client)
    read = f"{epoch}-{seq}"
    print("ready", flush=True)
    while True:
        for _, entries in client.xread({STREAM: read}, block=5000, count=100):
            for id, entry in entries:
                read = id
                if SIGNING_KEY and not genuine(entry):
                    print("not the chat's:", id, file=sys.stderr)
                    continue
                place, after = (int(entry["epoch"]), int(entry["seq"])), int(entry["after"])
                if place <= (epoch, seq):
                    continue  # it came again
                if after > (had := seq if place[0] == epoch else 0):
                    print(f"missed {place[0]}: {had + 1} to {after}", file=sys.stderr)
                with state:
                    state.execute("BEGIN")
                    handle(entry["event"], json.loads(entry["data"]))
                    state.execute("UPDATE place SET epoch = ?, seq = ?", place)
                epoch, seq = place


while True:
    try:
        follow()
    except (redis.RedisError, OSError) as error:
        print("again in a second:", error, file=sys.stderr)
        time.sleep(1)
