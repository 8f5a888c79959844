// What a search result quotes is the text of the page, without the buttons around it.
(() => {
  "use strict";
  if (typeof Search === "undefined") return;
  const quoted = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const around = ".bd-header-article, .bd-sidebar-secondary, #jb-print-docs-body, .prev-next-footer, .bd-footer-content, .bd-search-container noscript";
    page.querySelectorAll(around).forEach((part) => part.remove());
    // A formula in a quotation is read as it was written, between dollars.
    page.querySelectorAll(".math").forEach((part) => {
      part.textContent = part.textContent.replace(/\\[()[\]]/g, "$");
    });
    return quoted(page.documentElement.outerHTML, anchor);
  };
})();
