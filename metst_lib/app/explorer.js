// Names for screen readers: ipywidgets gives sliders' handles none, and images no alternative.
if (!window.metstNames) {
  const name = () => {
    for (const box of document.querySelectorAll('.metst-explorer .widget-slider')) {
      const handle = box.querySelector('[role=slider]'), label = box.querySelector('.widget-label');
      if (handle && label && !handle.hasAttribute('aria-label')) {
        handle.setAttribute('aria-label', label.textContent);
        handle.setAttribute('title', label.title);
      }
    }
    for (const image of document.querySelectorAll('.metst-explorer img[title]')) {
      image.alt = image.title;
      image.removeAttribute('title');
    }
  };
  window.metstNames = new MutationObserver(name);
  const what = {childList: true, subtree: true, attributes: true, attributeFilter: ['title']};
  window.metstNames.observe(document.body, what);
  name();
}
