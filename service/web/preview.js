// Small pictures of large photos: decoded beside the page's own thread, a few at once, and only once they are nearly seen.

const SIDE = 240;
const AT_ONCE = 2;
const NEARLY = "400px";

const waiting = [];
const photoOf = new WeakMap();

let busy = 0;

const watch = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      waiting.push(target);
    }
    while (busy < AT_ONCE && waiting.length) work();
  },
  { rootMargin: NEARLY },
);

// Draws a file into a canvas, when it is time; what this browser cannot show stays empty.
export function preview(canvas, file) {
  photoOf.set(canvas, file);
  watch.observe(canvas);
}

async function work() {
  busy += 1;
  while (waiting.length) await draw(waiting.shift());
  busy -= 1;
}

async function draw(canvas) {
  try {
    const bitmap = await createImageBitmap(photoOf.get(canvas), { resizeWidth: SIDE, resizeQuality: "medium" });
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
  } catch {
    canvas.classList.add("unshown");
  }
}
