/**
 * What was begun and not sent, by conversation. It lives as long as the browser's tab.
 *
 * @module messages/drafts
 */

import { tabStorage } from "../tab-storage.js";

/** @typedef {{ body: string, mediaUrls: string[] }} Draft */

export class Drafts {
  #prefix;
  #storage;

  /**
   * @param {string} licenseId
   * @param {import("../tab-storage.js").TabStorage} [storage]
   */
  constructor(licenseId, storage = tabStorage()) {
    this.#prefix = `leaseline.draft.${licenseId}.`;
    this.#storage = storage;
  }

  /**
   * @param {string} conversationId
   * @returns {Draft}
   */
  get(conversationId) {
    try {
      const { body = "", mediaUrls = [] } = JSON.parse(
        this.#storage.getItem(this.#prefix + conversationId) ?? "{}",
      );
      return { body, mediaUrls };
    } catch {
      return { body: "", mediaUrls: [] };
    }
  }

  /**
   * Keeps a draft; an empty one is forgotten.
   *
   * @param {string} conversationId
   * @param {Draft} draft
   */
  keep(conversationId, { body, mediaUrls }) {
    try {
      if (body === "" && mediaUrls.length === 0) this.#storage.removeItem(this.#prefix + conversationId);
      else this.#storage.setItem(this.#prefix + conversationId, JSON.stringify({ body, mediaUrls }));
    } catch {
      // The browser keeps nothing: the text is still in its field.
    }
  }
}
