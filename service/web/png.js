// A drawing as a PNG file. At once: `toBlob` waits for the browser to be idle, which may take a second for each.

export function png(canvas, name) {
  const [, text] = canvas.toDataURL("image/png").split(",");
  return new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, { type: "image/png" });
}
