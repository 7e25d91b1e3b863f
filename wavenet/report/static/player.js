// One clip: play button, waveform and spectrogram that seek, what it is and how it was made.

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function clock(seconds) {
  const whole = Math.floor(seconds + 0.05);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function spoken(seconds) {
  if (seconds < 99.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

let playing = null;

function player(table, clip, title) {
  const kind = clip.isContinuation ? "continuation" : "from silence";
  const label = `${title}, ${kind}${clip.number ? `, clip ${clip.number + 1}` : ""}`;
  const audio = element("audio", { preload: "none", src: `audio/${encodeURIComponent(clip.file)}` });
  const button = element("button", { type: "button", class: "play", "aria-label": `Play ${label}` });
  const time = element("span", { class: "time" }, clock(clip.seconds));
  const bar = element("div", { class: "bar" }, button,
    element("span", { class: "kind" }, `${kind[0].toUpperCase()}${kind.slice(1)}${clip.number ? ` ${clip.number + 1}` : ""}`),
    time, download(clip.file, label), ...(clip.wav ? [download(clip.wav, label)] : []));
  const position = element("input", { type: "range", min: 0, max: clip.seconds, step: "any", value: 0,
    "aria-label": `Position in ${label}`, "aria-valuetext": clock(0) });
  const head = element("i", { class: "head" });
  const box = element("div", { class: "clip", role: "group", "aria-label": label }, bar,
    pictures(table, clip, label, head, position), element("p", { class: "made" }, made(table, clip)), audio);

  const show = () => {
    const share = Math.min(1, audio.currentTime / clip.seconds);
    head.style.left = `${share * 100}%`;
    position.value = audio.currentTime;
    position.setAttribute("aria-valuetext", `${clock(audio.currentTime)} of ${clock(clip.seconds)}`);
    time.textContent = `${clock(audio.currentTime)} / ${clock(clip.seconds)}`;
    box.classList.add("started");
  };
  const follow = () => { if (!audio.paused) { show(); requestAnimationFrame(follow); } };
  const fail = () => { box.classList.add("failed"); box.querySelector(".made").textContent = `${clip.file} cannot be played.`; };
  button.addEventListener("click", () => { if (audio.paused) audio.play().catch(fail); else audio.pause(); });
  const seek = (seconds) => { audio.currentTime = Math.max(0, Math.min(seconds, clip.seconds)); show(); };
  position.addEventListener("input", () => seek(Number(position.value)));
  position.addEventListener("keydown", (event) => {
    const direction = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    seek(audio.currentTime + direction * Math.min(5, clip.seconds / 20));
  });
  audio.addEventListener("error", fail);
  audio.addEventListener("play", () => {
    if (playing && playing !== audio) playing.pause();
    playing = audio;
    box.classList.add("playing");
    button.setAttribute("aria-label", `Pause ${label}`);
    follow();
  });
  audio.addEventListener("pause", () => {
    box.classList.remove("playing");
    button.setAttribute("aria-label", `Play ${label}`);
  });
  audio.addEventListener("seeked", show);
  return box;
}

function download(file, label) {
  const type = file.split(".").pop().toUpperCase();
  return element("a", { class: "file", href: `audio/${encodeURIComponent(file)}`, download: "", "aria-label": `${type} of ${label}` }, type);
}

function pictures(table, clip, label, head, position) {
  const box = element("div", { class: "pictures" });
  const joinShare = clip.isContinuation ? clip.join / clip.seconds : 0;
  if (clip.place >= 0) {
    const [waveColumns, columns, bands] = table.resolution;
    const wave = element("canvas", { class: "wave", role: "img", "aria-label": `Waveform of ${label}` });
    const spectrogram = element("canvas", { class: "spectrogram", role: "img", "aria-label": `Spectrogram of ${label}` });
    const bytes = thumbnailBytes(table, clip.place);
    box.redraw = () => {
      drawWave(wave, bytes, waveColumns, joinShare);
      drawSpectrogram(spectrogram, bytes, waveColumns, columns, bands);
    };
    box.redraw();
    box.append(wave, spectrogram);
  } else {
    box.classList.add("bare");
  }
  if (joinShare) {
    const join = element("i", { class: "join" });
    join.style.left = `${joinShare * 100}%`;
    box.append(join);
  }
  box.append(head, position);
  return box;
}

function made(table, clip) {
  const parts = [];
  if (clip.isContinuation) {
    const source = table.sources[clip.source];
    parts.push(`joined at ${clip.join.toFixed(2)} s${source ? ` to ${source}` : ""}`);
  }
  if (table.settings.length > 1) parts.push(table.settings[clip.settings]);
  parts.push(`stream ${clip.stream}`, `made in ${spoken(clip.computeSeconds)}`);
  return parts.join(" · ");
}

isDark.addEventListener("change", () => {
  for (const box of document.querySelectorAll(".pictures")) box.redraw?.();
});
