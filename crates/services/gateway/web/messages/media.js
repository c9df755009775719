/**
 * Files that go with a message: pictures show, everything else is a download.
 *
 * What came in needs the token, so it is fetched when it comes into sight and shown from memory. What went
 * out stands at the address that its sender gave; it is a link, for nothing is loaded from other hosts.
 *
 * @module messages/media
 */

import { openDialog } from "../dialog.js";
import { h, replace } from "../dom.js";
import { formatSize } from "../format.js";
import { mediumStateWords, problemWords } from "../words.js";
import { icon } from "./icons.js";
import { webAddress } from "./text.js";

/** What a browser draws and never runs. */
const PICTURES = new Set(["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"]);

/**
 * @typedef {object} Medium
 * @property {string | null} url
 * @property {string | null} content_type
 * @property {string | null} media_id
 * @property {"pending" | "stored" | "failed" | null} state
 * @property {number | null} size_bytes
 */

/** The files of one thread. They leave the memory when it closes. */
export class MediaShelf {
  #client;
  /** @type {Map<string, Promise<string>>} Object URLs by the file's address. */
  #urls = new Map();
  /** @type {Map<Element, () => void>} */
  #waiting = new Map();
  #sight;
  #isClosed = false;

  /** @param {import("../client.js").Client} client */
  constructor(client) {
    this.#client = client;
    this.#sight = new IntersectionObserver((entries) => entries.forEach((entry) => this.#see(entry)), {
      rootMargin: "400px",
    });
  }

  /** Forgets all files. */
  close() {
    this.#isClosed = true;
    this.#sight.disconnect();
    this.#waiting.clear();
    const forget = (url) => URL.revokeObjectURL(url);
    for (const url of this.#urls.values()) url.then(forget, () => {});
    this.#urls.clear();
  }

  /**
   * A file as it shows in a bubble.
   *
   * @param {Medium} medium
   * @returns {HTMLElement}
   */
  show(medium) {
    if (medium.state === "pending" || medium.state === "failed") {
      return h("p", { class: "medium quiet" }, mediumStateWords(medium.state));
    }
    if (!medium.url) return h("p", { class: "medium quiet" }, "A file");
    if (!medium.media_id) return showAddress(medium.url);
    return PICTURES.has(essence(medium)) ? this.#picture(medium) : this.#download(medium);
  }

  /** @param {Medium} medium */
  #picture(medium) {
    const place = h("div", { class: "medium picture" }, h("span", { class: "quiet" }, "A picture"));
    this.#whenSeen(place, async () => {
      try {
        const url = await this.#url(medium.url);
        const image = h("img", { src: url, alt: "Picture from the message" });
        const open = () => openPicture(url, medium);
        replace(
          place,
          h(
            "button",
            { type: "button", class: "bare", "aria-label": "Show the picture", onclick: open },
            image,
          ),
        );
      } catch (problem) {
        replace(place, h("span", { class: "quiet" }, "A picture. ", problemWords(problem)));
      }
    });
    return place;
  }

  /** @param {Medium} medium */
  #download(medium) {
    const button = h("button", { type: "button", class: "medium file" }, `↓ ${describe(medium)}`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        save(await this.#url(medium.url), fileName(medium));
      } catch (problem) {
        button.after(h("p", { class: "quiet", role: "alert" }, problemWords(problem)));
      } finally {
        button.disabled = false;
      }
    });
    return button;
  }

  /** @param {string} path */
  #url(path) {
    let url = this.#urls.get(path);
    if (!url) {
      url = this.#client.blob(path).then((blob) => URL.createObjectURL(blob));
      // What did not come is asked for again the next time.
      url.catch(() => this.#urls.delete(path));
      url.then(
        (made) => this.#isClosed && URL.revokeObjectURL(made),
        () => {},
      );
      this.#urls.set(path, url);
    }
    return url;
  }

  /**
   * @param {Element} element
   * @param {() => void} then
   */
  #whenSeen(element, then) {
    this.#waiting.set(element, then);
    this.#sight.observe(element);
  }

  /** @param {IntersectionObserverEntry} entry */
  #see({ isIntersecting, target }) {
    if (!isIntersecting) return;
    this.#sight.unobserve(target);
    const then = this.#waiting.get(target);
    this.#waiting.delete(target);
    then?.();
  }
}

/**
 * Saves what is in memory as a file.
 *
 * @param {string} url
 * @param {string} name
 */
export function save(url, name) {
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** @param {string} url */
function showAddress(url) {
  const href = webAddress(url);
  const words = [icon("clip"), " ", lastPart(url)];
  if (!href) return h("p", { class: "medium" }, ...words);
  return h(
    "a",
    { class: "medium file", href, title: url, target: "_blank", rel: "noopener noreferrer" },
    ...words,
  );
}

/**
 * What stands last in an address: the name of its file, as people see it.
 *
 * @param {string} url
 * @returns {string}
 */
export function lastPart(url) {
  if (!URL.canParse(url)) return url;
  const { hostname, pathname } = new URL(url);
  return pathname.split("/").filter(Boolean).at(-1) ?? hostname;
}

/**
 * @param {string} url
 * @param {Medium} medium
 */
function openPicture(url, medium) {
  const download = h("a", { class: "button", href: url, download: fileName(medium) }, "Download");
  openDialog({
    title: "Picture",
    class: "picture-dialog",
    content: [h("img", { src: url, alt: "Picture from the message" }), h("footer", null, download)],
  });
}

/** @param {Medium} medium */
function describe(medium) {
  const type = essence(medium);
  const size = medium.size_bytes ? `, ${formatSize(medium.size_bytes)}` : "";
  const kind = { audio: "Sound", video: "Video", image: "Picture" }[type.split("/")[0]] ?? "File";
  return `${kind}${type ? ` (${type}${size})` : size}`;
}

/** @param {Medium} medium */
function fileName(medium) {
  const ending = essence(medium)
    .split("/")[1]
    ?.replace(/^x-|\+.*$/g, "")
    .replace(/[^a-z0-9-]/g, "");
  return `leaseline-${medium.media_id}${ending ? `.${ending}` : ""}`;
}

/** The type without its parameters. */
function essence({ content_type: type }) {
  return (type ?? "").split(";")[0].trim().toLowerCase();
}
