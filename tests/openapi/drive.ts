// node drive.js SOCKET FIRMWARE: with the generated client alone, a VM is created, started, stopped and removed.
import assert from "node:assert/strict";
import { Agent, fetch as undici } from "undici";
import { client } from "./client/client.gen";
import {
  createVm, getHost, getOperation, getVm, listEvents, listVms, removeVm, startVm, stopVm,
} from "./client/sdk.gen";

const [socketPath, firmware] = process.argv.slice(2);
const dispatcher = new Agent({ connect: { socketPath } });
client.setConfig({
  baseUrl: "http://localhost",
  fetch: async (request: Request) => {
    const body = request.method === "GET" ? undefined : await request.text();
    const answer = await undici(request.url, {
      method: request.method, headers: [...request.headers], body, dispatcher,
    });
    return answer as unknown as Response;
  },
});
async function main() {
  const wait = "60s";
  const name = "generated";

  assert.equal((await getHost({ throwOnError: true })).data.vms, 0);
  const spec = { name, driver: "qemu", memory: "16MiB", boot: { firmware }, stop: { grace_period: "20s" } };
  const created = await createVm({ throwOnError: true, body: { spec, folder: "/" } });
  assert.equal(created.data.state, "stopped");

  const again = await createVm({ body: { spec, folder: "/" } });
  assert.equal(again.error?.code, "exists");
  const wrong = await createVm({ body: { spec: { ...spec, name: "other", cpus: 0 }, folder: "/" } });
  assert.deepEqual(wrong.error?.problems?.map((p) => p.pointer), ["/cpus"]);

  const begun = await startVm({ throwOnError: true, path: { name }, body: {} });
  const started = await getOperation({ throwOnError: true, path: { id: begun.data.id }, query: { wait } });
  assert.equal(started.data.state, "done");
  assert.equal((await getVm({ throwOnError: true, path: { name } })).data.state, "running");

  const stopped = await stopVm({ throwOnError: true, path: { name }, query: { wait }, body: { force: true } });
  assert.equal(stopped.data.state, "done");
  assert.equal(stopped.data.result?.outcome, "stopped");
  const states = (await listEvents({ throwOnError: true, query: { vm: name } })).data.events
    .filter((event) => event.kind === "vm.state").map((event) => event.detail.to);
  assert.deepEqual(states, ["starting", "running", "stopping", "stopped"]);

  await removeVm({ throwOnError: true, path: { name }, query: { wait } });
  assert.deepEqual((await listVms({ throwOnError: true })).data.vms, []);
  console.log("created, started, stopped and removed by a generated client");
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
