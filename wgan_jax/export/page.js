"use strict";
// Draws pictures of a generator. generator.js defines GENERATOR: the ONNX file and
// facts; runtime/ defines RUNTIME: the parts of onnxruntime-web. All files are
// scripts, since browsers refuse to fetch other files from file:// addresses.

const $ = (id) => document.getElementById(id);
const [HEIGHT, WIDTH, CHANNELS] = GENERATOR.shape;
const PIXELS = HEIGHT * WIDTH * CHANNELS;
const FRAMES = 60; // of an interpolation

const state = {
  session: null,
  samples: [], // {latent, label} of the small pictures
  base: null, // latent without the directions
  label: 0,
  moves: GENERATOR.directions.map(() => 0),
  ends: [], // latents of the interpolation
  playing: false,
};

// ---- files ----

async function bytes(packed) {
  const text = atob(packed);
  const data = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function load() {
  const module = await bytes(RUNTIME.module);
  const address = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  ort.env.wasm.numThreads = 1; // more need headers that few servers send
  ort.env.wasm.wasmPaths = { mjs: address };
  ort.env.wasm.wasmBinary = await bytes(RUNTIME.binary);
  return ort.InferenceSession.create(await bytes(GENERATOR.onnx), { executionProviders: ["wasm"] });
}

// ---- latents ----

function normal() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

function truncatedNormal() {
  const value = normal();
  return Math.abs(value) <= 2 ? value : truncatedNormal();
}

function onSphere(latent) {
  const square = latent.reduce((sum, value) => sum + value * value, 0) / latent.length;
  return latent.map((value) => value / Math.sqrt(square));
}

const each = (draw) => (count) => Float32Array.from({ length: count }, draw);
const PRIORS = {
  normal: each(normal),
  truncated_normal: each(truncatedNormal),
  uniform: each(() => 2 * Math.random() - 1),
  sphere: (count) => onSphere(each(normal)(count)),
};
const randomLatent = () => PRIORS[GENERATOR.prior](GENERATOR.latent_size);

function between(first, last, t) {
  if (GENERATOR.prior !== "uniform") return greatArc(first, last, t);
  return first.map((value, i) => (1 - t) * value + t * last[i]);
}

function greatArc(first, last, t) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = dot(first, last) / Math.sqrt(dot(first, first) * dot(last, last));
  let parts = [1 - t, t];
  if (Math.abs(cosine) <= 1 - 1e-6) {
    const angle = Math.acos(cosine);
    parts = parts.map((part) => Math.sin(part * angle) / Math.sin(angle));
  }
  return first.map((value, i) => parts[0] * value + parts[1] * last[i]);
}

function currentLatent() {
  const latent = Float32Array.from(state.base);
  state.moves.forEach((move, k) => {
    GENERATOR.directions[k].forEach((value, i) => { latent[i] += move * value; });
  });
  return latent;
}

// ---- drawing ----

async function generate(examples) {
  const size = GENERATOR.latent_size;
  const latents = new Float32Array(examples.length * size);
  examples.forEach((example, i) => latents.set(example.latent, i * size));
  const feed = { latents: new ort.Tensor("float32", latents, [examples.length, size]) };
  if (GENERATOR.classes.length) {
    const labels = Int32Array.from(examples, (example) => example.label);
    feed.labels = new ort.Tensor("int32", labels, [examples.length]);
  }
  const { images } = await state.session.run(feed);
  return examples.map((_, i) => images.data.subarray(i * PIXELS, (i + 1) * PIXELS));
}

function paint(canvas, image) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const picture = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < HEIGHT * WIDTH; i++) {
    for (let c = 0; c < 3; c++) {
      const value = image[i * CHANNELS + (CHANNELS === 1 ? 0 : c)];
      // The array rounds and clips, as the program does.
      picture.data[4 * i + c] = (value + 1) * 127.5;
    }
    picture.data[4 * i + 3] = CHANNELS === 4 ? (image[4 * i + 3] + 1) * 127.5 : 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// A session runs one call at a time; of the calls for the large picture that wait,
// only the newest is of use.
let turn = Promise.resolve();
let waiting = false;

function inTurn(work) {
  turn = turn.then(work).catch(fail);
  return turn;
}

function drawPicture() {
  if (waiting) return turn;
  waiting = true;
  return inTurn(async () => {
    waiting = false;
    const [image] = await generate([{ latent: currentLatent(), label: state.label }]);
    paint($("picture"), image);
    $("download").href = $("picture").toDataURL("image/png");
  });
}

function drawSamples() {
  return inTurn(async () => {
    const images = await generate(state.samples);
    images.forEach((image, i) => paint($("samples").children[i].firstChild, image));
  });
}

function drawEnds(label) {
  return inTurn(async () => {
    const images = await generate(state.ends.map((latent) => ({ latent, label })));
    ["first-picture", "last-picture"].forEach((id, k) => paint($(id), images[k]));
  });
}

function fail(error) {
  $("status").textContent = `The generator cannot run in this browser: ${error.message || error}`;
}

// ---- controls ----

function showClass() {
  $("status").textContent = GENERATOR.classes[state.label] ?? "";
}

function show(latent, label) {
  state.base = latent;
  if (label !== state.label) drawEnds(label);
  state.label = label;
  for (const button of $("samples").children) button.setAttribute("aria-pressed", "false");
  showClass();
  return drawPicture();
}

function choose(index) {
  stop();
  reset();
  show(state.samples[index].latent, state.samples[index].label);
  $("samples").children[index].setAttribute("aria-pressed", "true");
}

function reset() {
  state.moves.fill(0);
  for (const input of $("directions").querySelectorAll("input")) {
    input.value = 0;
    input.nextElementSibling.textContent = "0.0";
  }
}

function chosenClass() {
  return GENERATOR.classes.length ? Number($("class").value) : -1;
}

function labelOf(index) { // all classes in turn, as the program does
  const count = GENERATOR.classes.length;
  if (!count) return 0;
  return chosenClass() < 0 ? index % count : chosenClass();
}

function fillSamples(latents) {
  state.samples = latents.map((latent, i) => ({ latent, label: labelOf(i) }));
  return drawSamples();
}

function newPicture() {
  stop();
  reset();
  const any = Math.floor(Math.random() * GENERATOR.classes.length);
  show(randomLatent(), chosenClass() < 0 ? any : chosenClass());
}

function setEnd(k) {
  stop();
  state.ends[k] = currentLatent();
  $("position").value = k;
  $("position-value").textContent = `${k}.00`;
  drawEnds(state.label);
}

function movePosition() {
  const t = Number($("position").value);
  $("position-value").textContent = t.toFixed(2);
  reset();
  return show(between(...state.ends, t), state.label);
}

function stop() {
  state.playing = false;
  $("play").firstChild.textContent = "Play ";
}

async function play() {
  if (state.playing) return stop();
  state.playing = true;
  $("play").firstChild.textContent = "Stop ";
  for (let frame = 0; state.playing; frame = (frame + 1) % (2 * FRAMES)) {
    $("position").value = 1 - Math.abs(1 - frame / FRAMES);
    await movePosition();
    await new Promise(requestAnimationFrame);
  }
}

function addDirections() {
  GENERATOR.directions.forEach((_, k) => {
    const label = document.createElement("label");
    label.className = "slider";
    label.innerHTML = `Direction ${k + 1}
      <input type="range" min="-4" max="4" step="0.1" value="0"><output>0.0</output>`;
    const input = label.querySelector("input");
    input.addEventListener("input", () => {
      state.moves[k] = Number(input.value);
      input.nextElementSibling.textContent = state.moves[k].toFixed(1);
      drawPicture();
    });
    $("directions").append(label);
  });
}

function addClasses() {
  if (!GENERATOR.classes.length) return;
  const names = [["All in turn", -1], ...GENERATOR.classes.map((name, i) => [name, i])];
  for (const [name, value] of names) $("class").append(new Option(name, value));
  $("class-field").hidden = false;
  $("class").addEventListener("change", () => {
    stop();
    if (chosenClass() >= 0) show(state.base, chosenClass());
    fillSamples(state.samples.map((example) => example.latent));
  });
}

function addSamples() {
  GENERATOR.latents.forEach((_, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Sample ${i + 1}`);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => choose(i));
    $("samples").append(button);
  });
}

function nameFile() {
  const name = GENERATOR.classes[state.label];
  $("download").download = [GENERATOR.name, ...(name ? [name] : []), Date.now()].join("_") + ".png";
}

const KEYS = { n: "new", r: "reset", p: "play", s: "more", d: "download" };

function press(event) {
  const id = KEYS[event.key.toLowerCase()];
  const inList = event.target.tagName === "SELECT"; // letters choose an entry there
  if (!id || inList || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  $(id).click();
}

async function start() {
  document.title = $("title").textContent = GENERATOR.title;
  $("description").textContent = GENERATOR.description;
  $("about").textContent = GENERATOR.about;
  addDirections();
  addClasses();
  addSamples();
  state.session = await load();
  $("new").addEventListener("click", newPicture);
  $("reset").addEventListener("click", () => { reset(); drawPicture(); });
  $("first").addEventListener("click", () => setEnd(0));
  $("last").addEventListener("click", () => setEnd(1));
  $("position").addEventListener("input", () => { stop(); movePosition(); });
  $("play").addEventListener("click", play);
  $("more").addEventListener("click", () => fillSamples(
    state.samples.map(randomLatent)));
  $("download").addEventListener("click", nameFile);
  document.addEventListener("keydown", press);
  const latents = GENERATOR.latents.map((latent) => Float32Array.from(latent));
  state.ends = latents.slice(0, 2);
  fillSamples(latents);
  choose(0);
  drawEnds(state.label);
  await turn;
  for (const control of document.querySelectorAll("[disabled]")) control.disabled = false;
  $("download").setAttribute("aria-disabled", "false");
}

const ready = start().catch(fail);
