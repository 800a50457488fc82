#!/bin/sh
# Make the files of this folder from their sources with LibreOffice (7.4 made those that are committed):
#   apt-get install --no-install-recommends libreoffice-writer libreoffice-calc libreoffice-impress && ./make.sh
set -eu
cd "$(dirname "$0")"

convert() { # SOURCE EXTENSION [FILTER]
    soffice --headless --convert-to "$2${3:+:$3}" "sources/$1" >/dev/null 2>&1
}

for extension in docx odt rtf epub; do convert text.fodt "$extension"; done
for extension in xlsx ods; do convert sheets.fods "$extension"; done
for extension in pptx odp; do convert slides.fodp "$extension"; done
for source in right-to-left.fodt text.fodt sheets.fods slides.fodp; do convert "$source" pdf; done
soffice --headless --infilter="HTML (StarWriter)" --convert-to pdf:writer_pdf_Export sources/prices.html >/dev/null 2>&1
