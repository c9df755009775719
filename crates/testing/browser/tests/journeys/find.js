// Finds what a person sees, by its role and its accessible name: exactly this name, else one that contains it.
// Runs in the page; answers the elements. What stands behind a modal dialog is not found: nobody reaches it.
const [role, name] = arguments;
const SELECTORS = {
  article: "article, [role=article]",
  button: "button:not([role]), summary, [role=button], [role=switch]",
  checkbox: "input[type=checkbox], [role=checkbox]",
  combobox: "select, [role=combobox]",
  dialog: "dialog[open], [role=dialog]",
  heading: "h1, h2, h3, h4, [role=heading]",
  link: "a[href]",
  listbox: "[role=listbox]",
  menuitem: "[role=menuitem]",
  option: "option, [role=option]",
  row: "[role=option], [role=row], li",
  tab: "[role=tab]",
  searchbox: "input[type=search], [role=searchbox]",
  textbox: "input:not([type]), input[type=text], input[type=tel], input[type=url], textarea, [role=textbox]",
};
const tidy = (text) => (text ?? "").replace(/\s+/g, " ").trim();
const nameOf = (element) => {
  const labelled = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
  const names = [
    labelled.map((id) => document.getElementById(id)?.textContent).join(" "),
    element.getAttribute("aria-label"),
    [...(element.labels ?? [])].map((label) => label.textContent).join(" "),
    element.matches("input, textarea, select") ? "" : element.innerText,
    element.getAttribute("placeholder"),
    element.title,
  ];
  return tidy(names.find((each) => tidy(each) !== ""));
};
const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
const root = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document;
const candidates = [...root.querySelectorAll(SELECTORS[role] ?? role)].filter(isSeen);
if (root instanceof HTMLDialogElement && role === "dialog") candidates.push(root);
const wanted = tidy(name);
const exact = candidates.filter((element) => nameOf(element) === wanted);
return exact.length > 0 ? exact : candidates.filter((element) => nameOf(element).includes(wanted));
