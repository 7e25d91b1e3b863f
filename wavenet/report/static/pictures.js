"use strict";
// Waveforms and spectrograms, drawn from the four-bit thumbnails of the table's data (thumbnails.py has the layout).

const LIGHT = ["#f5f3ed", "#cfdde1", "#8fb4c4", "#4a83a0", "#1f5273", "#0d2136"];
const DARK = ["#1a1d22", "#1f3442", "#33617b", "#5f9cb9", "#a9d5e2", "#fbf3da"];
const isDark = matchMedia("(prefers-color-scheme: dark)");

function shades(stops) {
  const channels = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return Array.from({ length: 16 }, (_, shade) => {
    const place = (shade / 15) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    return channels[left].map((value, index) => value + (place - left) * (channels[left + 1][index] - value));
  });
}

const PALETTES = { light: shades(LIGHT), dark: shades(DARK) };

function thumbnailBytes(table, index) {
  const size = table.thumbnailCharacters;
  return Uint8Array.from(atob(table.thumbnails.slice(index * size, (index + 1) * size)), (byte) => byte.charCodeAt(0));
}

function drawWave(canvas, bytes, columns, joinShare) {
  const colours = getComputedStyle(document.documentElement);
  const context = canvas.getContext("2d");
  canvas.width = columns * 4;
  canvas.height = 96;
  for (const [shift, colour] of [[4, "--peak"], [0, "--rms"]]) {
    for (let column = 0; column < columns; column++) {
      const isRecording = (column + 0.5) / columns < joinShare;
      context.fillStyle = colours.getPropertyValue(isRecording ? "--before" : colour);
      context.globalAlpha = isRecording && shift ? 0.45 : 1;
      const height = Math.max(2, (((bytes[column] >> shift) & 15) / 15) * canvas.height);
      context.fillRect(column * 4, (canvas.height - height) / 2, 3, height);
    }
  }
}

function drawSpectrogram(canvas, bytes, waveColumns, columns, bands) {
  const palette = isDark.matches ? PALETTES.dark : PALETTES.light;
  canvas.width = columns;
  canvas.height = bands;
  const image = new ImageData(columns, bands);
  for (let cell = 0; cell < columns * bands; cell++) {
    const byte = bytes[waveColumns + (cell >> 1)];
    const colour = palette[cell & 1 ? byte & 15 : byte >> 4];
    const row = bands - 1 - (cell % bands);
    image.data.set([...colour, 255], (row * columns + Math.floor(cell / bands)) * 4);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
