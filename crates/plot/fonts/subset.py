"""Cuts Arimo Regular down to the characters that figures use.

    pip install fonttools==4.68.0
    python subset.py Arimo-Regular.ttf arimo-regular.ttf

The source is `truetype/croscore/Arimo-Regular.ttf` of the Debian package fonts-croscore 20201225-1.
Pair kerning is flattened from GPOS into a `kern` table, which is all that the text drawing of figures reads.
"""

import hashlib
import sys

from fontTools import subset
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

SOURCE_SHA256 = "5c315974260455a02fad62495a0ae9a783bb53f0eccf807deb75c7967e7a81d6"
RANGES = [
    (0x20, 0x7E),  # Basic Latin
    (0xA0, 0x17F),  # Latin-1, Latin Extended-A
    (0x2C6, 0x2DD),  # accents
    (0x384, 0x3CE),  # Greek
    (0x2010, 0x2044),  # punctuation
    (0x2070, 0x208E),  # superscripts and subscripts
    (0x2113, 0x2113),  # ℓ
    (0x2190, 0x2195),  # arrows
    (0x2200, 0x22FF),  # mathematical operators
    (0xFFFD, 0xFFFD),  # replacement character
]
# Kerning is kept between these: the letters and marks of titles, labels and model names.
KERNED = [chr(c) for c in range(0x20, 0x7F)]


def pair_kerning(font):
    """Horizontal advance changes of glyph pairs, by the `kern` feature, first match winning within a lookup."""
    gpos = font["GPOS"].table
    lookups = sorted(
        {i for f in gpos.FeatureList.FeatureRecord if f.FeatureTag == "kern" for i in f.Feature.LookupListIndex}
    )
    cmap = font.getBestCmap()
    names = [cmap[ord(c)] for c in KERNED if ord(c) in cmap]
    pairs = {}
    for index in lookups:
        seen = set()
        for table in gpos.LookupList.Lookup[index].SubTable:
            table = getattr(table, "ExtSubTable", table)
            if table.LookupType != 2:
                continue
            for left in names:
                if left not in table.Coverage.glyphs:
                    continue
                for right in names:
                    if (left, right) in seen:
                        continue
                    if table.Format == 1:
                        record = next(
                            (
                                r.Value1
                                for r in table.PairSet[table.Coverage.glyphs.index(left)].PairValueRecord
                                if r.SecondGlyph == right
                            ),
                            None,
                        )
                        if record is None:
                            continue
                    else:
                        first = table.ClassDef1.classDefs.get(left, 0)
                        second = table.ClassDef2.classDefs.get(right, 0)
                        record = table.Class1Record[first].Class2Record[second].Value1
                    seen.add((left, right))
                    advance = getattr(record, "XAdvance", 0) if record is not None else 0
                    if advance:
                        pairs[(left, right)] = pairs.get((left, right), 0) + advance
    return pairs


def main(source, target):
    found = hashlib.sha256(open(source, "rb").read()).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{source}: expected SHA-256 {SOURCE_SHA256}, found {found}")
    font = TTFont(source, recalcTimestamp=False)
    pairs = pair_kerning(font)
    options = subset.Options()
    options.layout_features = []
    options.hinting = False
    options.glyph_names = True
    options.notdef_outline = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 7, 13, 14]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[c for first, last in RANGES for c in range(first, last + 1)])
    cutter.subset(font)
    table = KernTable_format_0()
    table.coverage = 1
    table.apple = False
    table.kernTable = dict(sorted(pairs.items()))
    font["kern"] = newTable("kern")
    font["kern"].version = 0
    font["kern"].kernTables = [table]
    font["post"].formatType = 3.0
    font.save(target, reorderTables=True)
    print(f"{target}: {font['maxp'].numGlyphs} glyphs, {len(pairs)} kerning pairs")


if __name__ == "__main__":
    main(*sys.argv[1:])
