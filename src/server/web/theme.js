/* Before anything is drawn: the colours that were chosen on this device; without a choice those of the system. */
try {
    const theme = localStorage.getItem("falconer.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
    /* Storage is off: the system's colours it is. */
}
