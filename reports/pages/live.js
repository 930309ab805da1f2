// Keeps the page of `report --serve` up to date: asks the server for its version and, when that has
// changed, loads the new page behind the shown one and swaps the two. What a reader has opened,
// scrolled to and focused stays.
"use strict";

(() => {
  const POLL_MS = 1000;
  const {page, version} = document.body.dataset;
  const frames = document.getElementById("frames");
  const status = document.getElementById("status");
  let frame = null;  // that is shown
  let shown = "";    // its version

  const say = (text) => {
    if (status.textContent !== text) status.textContent = text;
  };

  // ---- what is where, by names that the next version has too ----

  // Sections and charts have ids; items are told by their titles, for their numbers change as
  // failures come in.
  const nameOf = (element) => {
    if (element.matches("details")) {
      const above = element.parentElement.closest("[id]");
      return `${above ? above.id : ""}\n${element.querySelector("summary").textContent}`;
    }
    return `#${element.id}`;
  };
  const landmarks = (doc) => [...doc.querySelectorAll("main section[id], main figure[id], main details")]
    .filter((element) => element.getClientRects().length > 0);
  const named = (doc) => new Map(landmarks(doc).map((element) => [nameOf(element), element]));

  // The way from the nearest landmark down to an element.
  const placeOf = (element) => {
    const way = [];
    let at = element;
    while (at.parentElement && !at.matches("main section[id], main figure[id], main details, [id]")) {
      way.unshift([...at.parentElement.children].indexOf(at));
      at = at.parentElement;
    }
    return {name: at.matches("details") ? nameOf(at) : "", id: at.id, way, tag: element.tagName};
  };
  const elementAt = (doc, place) => {
    let at = place.name ? named(doc).get(place.name) : doc.getElementById(place.id);
    for (const index of place.way) at = at && at.children[index];
    return at && at.tagName === place.tag ? at : null;
  };

  const stateOf = (of) => {
    const doc = of.contentDocument;
    const marks = landmarks(doc);
    const topOf = (element) => element.getBoundingClientRect().top;
    // What somebody opened and sees stays where it is; else what begins last above the window's top.
    const seen = marks.find((element) => element.open && topOf(element) >= 0 &&
                                         topOf(element) < of.contentWindow.innerHeight);
    const anchor = seen || marks.filter((element) => topOf(element) <= 1).pop();
    const focused = document.activeElement === of ? doc.activeElement : null;
    return {
      open: new Set(marks.filter((element) => element.open).map(nameOf)),
      anchor: anchor && {name: nameOf(anchor), top: topOf(anchor)},
      x: of.contentWindow.scrollX,
      y: of.contentWindow.scrollY,
      inside: document.activeElement === of,
      focus: focused && focused !== doc.body ? placeOf(focused) : null,
      caret: focused && focused.tagName === "INPUT" ? [focused.selectionStart, focused.selectionEnd] : null,
    };
  };

  const restore = (of, state) => {
    const doc = of.contentDocument;
    const now = named(doc);
    for (const [name, element] of now) {
      if (element.matches("details")) element.open = state.open.has(name);
    }
    of.contentWindow.scrollTo(state.x, state.y);
    const anchor = state.anchor && now.get(state.anchor.name);
    if (anchor) of.contentWindow.scrollBy(0, anchor.getBoundingClientRect().top - state.anchor.top);
    if (!state.inside) return;
    of.contentWindow.focus();
    const focus = state.focus && elementAt(doc, state.focus);
    if (!focus) return;
    focus.focus({preventScroll: true});
    if (state.caret) focus.setSelectionRange(...state.caret);
  };

  // ---- loading and swapping ----

  const hashOf = (of) => of.contentWindow.location.hash;

  const adoptView = (of, hash) => new Promise((resolve) => {
    if (hashOf(of) === hash) return resolve();
    of.contentWindow.addEventListener("hashchange", () => resolve(), {once: true});
    of.contentWindow.location.hash = hash;
  });

  const load = (address) => new Promise((resolve) => {
    const next = document.createElement("iframe");
    next.className = "coming";
    next.title = "Report";
    next.addEventListener("load", () => resolve(next), {once: true});
    next.src = address;
    frames.append(next);
  });

  const swapTo = async (now) => {
    const hash = frame ? hashOf(frame) : location.hash;
    if (!frame) say("the page is being made");
    const next = await load(`${page}?v=${encodeURIComponent(now)}${hash}`);
    if (!next.contentDocument || !next.contentDocument.querySelector("main")) {
      const why = next.contentDocument ? next.contentDocument.body.textContent.trim() : "no answer";
      next.remove();
      say(`the page could not be made: ${why}`);
      return;
    }
    if (frame) {
      await adoptView(next, hashOf(frame));  // it may have changed while the page was made
      restore(next, stateOf(frame));
    }
    next.className = "";
    if (frame) frame.remove();
    frame = next;
    shown = now;
    document.title = next.contentDocument.title;
    say(`live; as of ${new Date().toLocaleTimeString()}`);
  };

  // A swap would take a selection away while somebody copies it.
  const isSelecting = () => frame !== null && !frame.contentWindow.getSelection().isCollapsed;

  const look = async () => {
    let now = "";
    try {
      const reply = await fetch(version, {cache: "no-store"});
      if (!reply.ok) throw new Error(await reply.text());
      now = (await reply.json()).version;
    } catch {
      say("the server does not answer; this is what it said last");
      return;
    }
    if (now !== shown && !isSelecting())
      await swapTo(now);
    else if (frame && status.textContent.startsWith("the server"))
      say("live");
  };

  // The view that the page keeps in its address is this page's address, too.
  const syncHash = () => {
    if (!frame) return;
    const hash = hashOf(frame);
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname);
  };
  addEventListener("hashchange", () => {
    if (frame && hashOf(frame) !== location.hash) {
      frame.contentWindow.location.hash = location.hash;
    }
  });

  let looking = false;
  const tick = async () => {
    syncHash();
    if (looking || document.hidden) return;  // a page nobody sees costs nothing
    looking = true;
    await look().finally(() => {
      looking = false;
    });
  };
  setInterval(tick, POLL_MS);
  document.addEventListener("visibilitychange", tick);
  tick();
})();
