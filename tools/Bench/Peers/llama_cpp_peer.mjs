// llama.cpp's side of the benchmark, through node-llama-cpp: answers each line on standard input with one on standard output.
import {pathToFileURL} from "node:url";
import path from "node:path";
import readline from "node:readline";

const [folder, modelPath, threadText] = process.argv.slice(2);
const threads = Number(threadText);
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(path.join(folder, "node_modules", "node-llama-cpp", "dist", "index.js")));

let model;
let context;
let sequences = [];

async function load() {
    const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.error, maxThreads: threads});
    model = await llama.loadModel({modelPath, gpuLayers: 0});
    return `llama.cpp ${llama.llamaCppRelease.release}`;
}

async function prepare(batch, contextSize) {
    await context?.dispose();
    context = await model.createContext({sequences: batch, contextSize, batchSize: Math.max(512, batch), threads});
    sequences = Array.from({length: batch}, () => context.getSequence());
    return "done";
}

function randomTokens(count) {
    return Array.from({length: count}, () => 300 + Math.floor(Math.random() * (model.fileInfo.metadata.llama.vocab_size - 300)));
}

async function prefill(count) {
    const tokens = randomTokens(count);
    await sequences[0].clearHistory();
    const began = performance.now();
    await sequences[0].evaluateWithoutGeneratingNewTokens(tokens);
    return (performance.now() - began) / 1000;
}

// Seconds from the first new token of all sequences to the last one: count − 1 passes.
async function decode(count) {
    let firsts = 0;
    let began = 0;
    await Promise.all(sequences.map(async (sequence) => {
        await sequence.clearHistory();
        let made = 0;
        for await (const token of sequence.evaluate(randomTokens(8), {temperature: 0, yieldEogToken: true})) {
            made++;
            if (made === 1 && ++firsts === sequences.length)
                began = performance.now();
            if (made === count)
                break;
        }
    }));
    return (performance.now() - began) / 1000;
}

const actions = {
    load,
    prepare: (batch, contextSize) => prepare(Number(batch), Number(contextSize)),
    prefill: (count) => prefill(Number(count)),
    decode: (count) => decode(Number(count)),
    peak: () => process.resourceUsage().maxRSS * 1024,
};

for await (const line of readline.createInterface({input: process.stdin})) {
    const [name, ...rest] = line.split(" ");
    try {
        console.log(String(await actions[name](...rest)));
    } catch (failure) {
        console.log("error " + String(failure).replaceAll("\n", " "));
    }
}
process.exit(0);
