// Who the viewer is. Your own server signs a token for whoever is signed in to your site, and the element asks for it
// whenever it needs one; `null` is a guest, who reads. Here the chat's development token stands in for that.

const chat = document.querySelector("edge-chat");
const { searchParams } = new URL(location.href);
const name = searchParams.get("name") ?? `Viewer ${1 + Math.floor(Math.random() * 999)}`;

chat.getToken = async () => {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: name.toLowerCase().replaceAll(" ", "-"), name }),
  });
  return response.ok ? (await response.json()).token : null;
};

// `?room=…&lang=ar&theme=dark`, to look at the element as other pages have it.
for (const attribute of ["theme", "lang", "room"]) {
  const value = searchParams.get(attribute);
  if (value) chat.setAttribute(attribute, value);
}
if (searchParams.has("lang")) document.documentElement.dir = new Intl.Locale(searchParams.get("lang")).maximize().script === "Arab" ? "rtl" : "ltr";
