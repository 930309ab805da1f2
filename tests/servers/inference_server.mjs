// inference-server (npm) with llama.cpp's library behind it and one model: inference_server.mjs
// MODEL.gguf PORT. To be started in the folder into which the packages were installed.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [model, port] = process.argv.slice(2)
const require = createRequire(process.cwd() + '/')
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { InferenceServer, createExpressServer } = await load('inference-server')

const server = new InferenceServer({
  log: 'warn',
  concurrency: 2,
  cachePath: process.cwd() + '/cache',
  models: {
    tiny: {
      task: 'text-completion',
      engine: 'node-llama-cpp',
      location: model,
      contextSize: 4096,
      minInstances: 1,
      maxInstances: 2,
      device: { gpu: false, cpuThreads: 1 },
    },
  },
})
await server.start()
createExpressServer(server).listen(Number(port), '127.0.0.1', () => console.log('ready'))
