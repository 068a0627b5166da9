/** The link page starts here. */

import { mount } from "svelte";

import { chooseLanguage } from "../../words/language.ts";
import Page from "./Page.svelte";

const language = chooseLanguage(navigator.languages);
document.documentElement.lang = language.tag;
document.documentElement.dir = language.direction;
document.title = language.words.documentTitle;

const target = document.getElementById("page");
if (target) {
  target.replaceChildren();
  mount(Page, { target, props: { language } });
}
