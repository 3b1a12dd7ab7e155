"""The arithmetic around a file of integers in plain C, for boards and phones."""

from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATE = """\
/* What {name} takes for pixels, and what its output means. C99, no library.

       cc -O2 deploy.c -lm -o deploy
       ./deploy < pixels > codes

   pixels: {height} x {width} x {channels} bytes, 0 to 255, rows first, {order}.
   On a board, with TensorFlow Lite Micro and the header that `limbeck export` writes
   where OUT ends in .h: fill input->data.int8 by code_of, call Invoke, and ask
   best_class about output->data.int8. A board without doubles keeps a table of the 256
   codes of each channel. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

enum {{ HEIGHT = {height}, WIDTH = {width}, CHANNELS = {channels} }};
enum {{ LOWEST = {lowest}, HIGHEST = {highest} }};
enum {{ OUTPUTS = {outputs}, OUTPUT_ZERO_POINT = {zero_point} }};
static const double OUTPUT_SCALE = {scale};
static const double FACTOR[CHANNELS] = {{{factor}}};
static const double OFFSET[CHANNELS] = {{{offset}}};
const char *const CLASS_NAMES[] = {{{class_names}}};

/* The nearest code, of two the even one. */
int8_t code_of(uint8_t pixel, int channel) {{
  double code = rint(FACTOR[channel] * pixel + OFFSET[channel]);
  if (code < LOWEST) return LOWEST;
  if (code > HIGHEST) return HIGHEST;
  return (int8_t)code;
}}

double real_of(int8_t code) {{
  return OUTPUT_SCALE * (code - OUTPUT_ZERO_POINT);
}}

/* The number of the class; of equal ones the first. */
int best_class(const int8_t *codes) {{
  int best = 0;
  if (OUTPUTS == 1) return real_of(codes[0]) > {half};
  for (int i = 1; i < OUTPUTS; i++)
    if (codes[i] > codes[best]) best = i;
  return best;
}}

int main(void) {{
  for (int i = 0; i < HEIGHT * WIDTH * CHANNELS; i++) {{
    int pixel = getchar();
    if (pixel == EOF) {{
      fprintf(stderr, "there must be %d pixels\\n", HEIGHT * WIDTH * CHANNELS);
      return 2;
    }}
    putchar((uint8_t)code_of((uint8_t)pixel, i % CHANNELS));
  }}
  return 0;
}}
"""


def c_program(
    name: str,
    file: Mapping[str, Any],
    image_shape: Sequence[int],
    class_names: Sequence[str],
) -> str:
    """The program's text.

    Args:
        name: of the file.
        file: what deploy.json says of it; takes and gives int8.
        image_shape: (height, width, channels).
        class_names: of the classes.
    """
    height, width, channels = image_shape
    rule, output = file["pixels"], file["output"]
    return TEMPLATE.format(
        name=name.replace("*/", "* /"),
        height=height,
        width=width,
        channels=channels,
        order="of each pixel red, green, blue" if channels == 3 else "grey",
        lowest=rule["lowest"],
        highest=rule["highest"],
        outputs=output["shape"][-1],
        zero_point=output["zero_point"],
        scale=repr(output["scale"]),
        factor=", ".join(map(repr, rule["factor"])),
        offset=", ".join(map(repr, rule["offset"])),
        class_names=", ".join(map(_quoted, class_names)),
        half=0.5 if output["name"] == "probabilities" else 0,
    )


def _quoted(text):
    """A C string; what is not plain ASCII by the octal numbers of its UTF-8 bytes."""
    plain = {byte: chr(byte) for byte in range(0x20, 0x7F) if chr(byte) not in '"\\?'}
    return '"' + "".join(plain.get(b, f"\\{b:03o}") for b in text.encode()) + '"'
