/** `node healthcheck.ts PORT`: exit code 0 while the service on that port answers. */
const [, , port] = process.argv;
const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
  signal: AbortSignal.timeout(2_000),
});
process.exitCode = response.ok ? 0 : 1;
