// The page of what the service does just now: /metrics is looked at every second while somebody looks at the page.

import { Chart, POINTS } from "./chart.js";
import { byId } from "./dom.js";
import { noticeAway, watchHealth } from "./health.js";
import { Scrape } from "./metrics.js";
import { drawMix } from "./mix.js";
import { Between, isAsking, isAskingOne } from "./rates.js";
import { Sizes } from "./sizes.js";
import { duration } from "./words.js";

const SECOND = 1000;
const SECONDS = "http_request_duration_seconds";

const rate = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} / s`;
const whole = (value) => `${Math.round(value)}`;

const charts = {
  requests: new Chart("Requests", ["answered", "refused or failed"], rate),
  latency: new Chart("Latency of single photos", ["median", "p95", "p99"], duration),
  photos: new Chart("Photos", ["answered", "known from before"], rate),
  queue: new Chart("Waiting", ["photos in the queue"], whole),
  shed: new Chart("Shed", ["no room", "too late", "other"], rate),
};
const sizes = new Sizes();
const scrapes = [];

let isPaused = false;
let timer = null;

byId("charts").append(...Object.values(charts).map(({ place }) => place), sizes.place);
byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", isPaused);
  again();
});
document.addEventListener("visibilitychange", again);
watchHealth();
look();

function again() {
  clearTimeout(timer);
  if (!isPaused && !document.hidden) timer = setTimeout(look, SECOND);
}

async function look() {
  try {
    scrapes.push(await Scrape.take());
    while (scrapes.at(-1).at - scrapes[0].at > POINTS) scrapes.shift(); // many at once, where nobody looked for a while
    draw();
  } catch {
    noticeAway();
  }
  again();
}

function draw() {
  const now = scrapes.at(-1);
  const whileSeen = new Between(scrapes[0], now);
  sizes.draw(whileSeen.buckets("hangtag_batch_size"));
  drawMix(whileSeen);
  if (scrapes.length > 1) add(new Between(scrapes.at(-2), now), now);
}

function add(last, now) {
  const requests = (isWanted) => last.perSecond("http_requests_total", (labels) => isAsking(labels) && isWanted(labels.status));
  charts.requests.add(requests((status) => status < "400"), requests((status) => status >= "400"));
  charts.latency.add(...[0.5, 0.95, 0.99].map((share) => last.quantile(share, SECONDS, isAskingOne)));
  charts.photos.add(
    last.perSecond("hangtag_items_total", ({ outcome }) => outcome === "ok"),
    last.perSecond("hangtag_cache_requests_total", ({ source }) => source !== "miss"),
  );
  charts.queue.add(now.sum("hangtag_queue_items"));
  const items = (isWanted) => last.perSecond("hangtag_items_total", ({ outcome }) => isWanted(outcome));
  const full = last.perSecond("hangtag_rejected_total", ({ reason }) => reason === "queue_full");
  charts.shed.add(full, items((outcome) => outcome === "expired"), items((outcome) => outcome === "rejected") - full);
}
