// A certified OpenID provider for tests: `node provider.mjs <folder with node_modules>`, its terms on stdin.
//
// It prints its address once it listens. Beside the provider's own endpoints there are some below /test, by
// which a test changes who the people are, rotates the keys, and lets the token endpoint lie.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const module = pathToFileURL(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(module.href);

const read = async (stream) => {
  let text = "";
  for await (const part of stream) text += part;
  return JSON.parse(text);
};

const terms = await read(process.stdin);
let { people, jwks } = terms;
let lie = {};
let handle;
let issuer;

const findAccount = (_context, id) =>
  people[id] && { accountId: id, claims: async () => ({ sub: id, ...people[id] }) };

const begin = () => {
  const provider = new Provider(issuer, {
    clients: terms.clients,
    jwks,
    findAccount,
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups", "realm_access"] },
    cookies: { keys: ["for tests alone"] },
    features: { devInteractions: { enabled: true } },
    ...terms.options,
  });
  provider.on("server_error", (_context, error) => console.error(error));
  handle = provider.callback();
};

const levers = {
  "/test/people": (given) => Object.assign(people, given),
  "/test/keys": (given) => { jwks = given; begin(); },
  "/test/lie": (given) => { lie = given; },
};

// What the token endpoint answers, with the parts that a test wants to be different.
const lying = (response) => {
  const end = response.end.bind(response);
  response.end = (body) => {
    if (response.statusCode !== 200) return end(body);
    const told = JSON.stringify({ ...JSON.parse(body), ...lie });
    lie = {};
    response.setHeader("content-length", Buffer.byteLength(told));
    return end(told);
  };
};

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  if (levers[path]) {
    levers[path](await read(request));
    response.end();
    return;
  }
  if (path === "/token") lying(response);
  handle(request, response);
});
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  begin();
  console.log(issuer);
});
