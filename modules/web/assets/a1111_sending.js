/** What extensions' send-to buttons hand over, and the whole form for the events that extensions make of Generate's. */

/** Where A1111's names of targets are on this page: the tab, and img2img's sub-tab. @type {Record<string, [string, string | null]>} */
var a1111Targets = { txt2img: ["txt2img", null], img2img: ["img2img", "img2img"], inpaint: ["img2img", "inpaint"] };

/**
 * Put a picture and an infotext where a button sends them.
 * @param {string} target @param {string[]} names which of "picture" and "text" the values are @param {any[]} values
 * @param {string | null} sourceTab whose last infotext is meant where no text is given
 */
function a1111Receive(target, names, values, sourceTab) {
  const { picture, text } = Object.fromEntries(names.map((name, place) => [name, values[place]]));
  const place = a1111Targets[target];
  const { pages, messages } = /** @type {any} */ (window).easel;
  if (!place) {
    messages.note(`Easel has no tab ${target} to which this could be sent.`, "error");
    return [];
  }
  const infotext = text || (sourceTab && document.getElementById(`html_info_${sourceTab}`)?.innerText) || "";
  a1111PutIn(pages[place[0]], place[1], a1111PictureAddress(picture), infotext).catch((error) => messages.failure(error));
  return [];
}

/** @param {any} page @param {string | null} mode @param {string} address of the picture, "" for none @param {string} infotext */
async function a1111PutIn(page, mode, address, infotext) {
  if (infotext.trim()) await page.paster.pasteText(infotext);
  if (mode !== null && address) await page.take(mode, await (await fetch(address)).blob());
  else a1111OpenTab(page.name);
}

/** Return the address of what a picture box or a gallery holds, in any of Gradio's forms. @param {any} value @returns {string} */
function a1111PictureAddress(value) {
  if (!value) return "";
  if (Array.isArray(value)) return a1111PictureAddress(extract_image_from_gallery(value)[0]);
  if (typeof value === "string") return value;
  if (value.image ?? value.background ?? value.composite) return a1111PictureAddress(value.image ?? value.background ?? value.composite);
  return value.url ?? value.data ?? (value.path ? `/gradio_api/file=${value.path}` : "");
}

/** What begins the value of the stand-in that the form takes the place of. */
var a1111FormMark = "easel-form:";

/** Replace the stand-in among an event's values by the form of its tab. @param {any[]} values */
function a1111WithForm(values) {
  return values.map((value) => {
    if (typeof value !== "string" || !value.startsWith(a1111FormMark)) return value;
    const page = /** @type {any} */ (window).easel.pages[value.slice(a1111FormMark.length)];
    const pictures = page?.resizing ? { ...a1111Pictures, ...page.resizing.values() } : {};
    return page ? JSON.stringify({ ...page.form.requestValues(), ...pictures }) : value;
  });
}

/**
 * Call a function of an extension with pictures as Gradio 3 had them: as addresses that hold their content.
 * @param {Function} callback @param {any[]} values
 */
async function a1111WithPictures(callback, values) {
  /** @param {any} value */
  const told = async (value) => {
    if (typeof value?.url !== "string" || !value.path) return value;
    const picture = await (await fetch(value.url)).blob();
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(picture);
    });
  };
  return callback(...await Promise.all(values.map(told)));
}
