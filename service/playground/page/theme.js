// Before the first paint, so no module: a theme that was chosen shows without a flash of the other one.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
