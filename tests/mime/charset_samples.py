#!/usr/bin/env python3
"""Samples of charsets, made by Python's codecs: a line each, `name hex-of-octets hex-of-utf-8`."""

GERMAN = "Grüße aus Köln – größer als „je“ zuvor, 5 € das Stück"
WESTERN = "Crème brûlée, mañana, Ærø, naïve – “c'est ça” 5 €"
POLISH = "Zażółć gęślą jaźń, Łódź"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy"
TURKISH = "İstanbul'da ılık şeker, ğ"
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю"
UKRAINIAN = "Щастя б'ють жебраки, їжак і ґанок, єднання"
GREEK = "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία"
HEBREW = "דג סקרן שט בים מאוכזב"
ARABIC = "نص حكيم له سر قاطع"
BALTIC = "Įlinkdama fechtuotojo špaga sublykčiojusi pragręžė apvalų arbūzą"
THAI = "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า"
VIETNAMESE = "Tôi đưa ạ"
NORDIC = "Sævör grét áðan því úlpan var ónýt"
CELTIC = "ẁ ŵ ẃ ḃ ġ"
MALTESE = "Ħobż tal-Malti, ġbejna, ċavetta"
JAPANESE = "会議の資料を送ります。カタカナとひらがな、漢字"
JAPANESE_MORE = "①株式会社㈱髙﨑 Ⅳ"
KATAKANA = "半角カナ: ｶﾀｶﾅ"
CHINESE = "会议纪要已经发送，请查收附件。简体中文"
CHINESE_GBK = "鎔鑫喆囧，简体與繁體"
CHINESE_ALL = "𠀀㐀会议 Ā é ß 😀"
TAIWANESE = "會議紀錄已經寄出，請查收附件。繁體中文"
HONGKONG = "啲嘢喺度，𠝹"
KOREAN = "회의 자료를 보냅니다. 첨부 파일을 확인하세요"
KOREAN_MORE = "똠방각하 펲시콜라 쌰"
MACINTOSH = "Größe “æøå” ƒ"

SAMPLES = [
    ("iso-8859-1", "cp1252", [WESTERN, GERMAN]), ("latin1", "cp1252", [WESTERN]), ("windows-1252", "cp1252", [WESTERN, GERMAN]),
    ("iso-8859-2", "iso8859_2", [POLISH, CZECH]), ("windows-1250", "cp1250", [POLISH, CZECH]), ("ibm852", "cp852", [CZECH]),
    ("iso-8859-3", "iso8859_3", [MALTESE]), ("iso-8859-4", "iso8859_4", [BALTIC]), ("iso-8859-5", "iso8859_5", [RUSSIAN]),
    ("iso-8859-6", "iso8859_6", [ARABIC]), ("iso-8859-7", "iso8859_7", [GREEK]), ("iso-8859-8", "iso8859_8", [HEBREW]),
    ("iso-8859-8-i", "iso8859_8", [HEBREW]), ("iso-8859-9", "iso8859_9", [TURKISH]), ("iso-8859-10", "iso8859_10", [NORDIC]),
    ("iso-8859-11", "cp874", [THAI]), ("iso-8859-13", "iso8859_13", [BALTIC]), ("iso-8859-14", "iso8859_14", [CELTIC]),
    ("iso-8859-15", "iso8859_15", [WESTERN.replace("–", "-").replace("“", '"').replace("”", '"')]),
    ("windows-1251", "cp1251", [RUSSIAN, UKRAINIAN]), ("windows-1253", "cp1253", [GREEK]), ("windows-1254", "cp1254", [TURKISH]),
    ("windows-1255", "cp1255", [HEBREW]), ("windows-1256", "cp1256", [ARABIC]), ("windows-1257", "cp1257", [BALTIC]),
    ("windows-1258", "cp1258", ["Tôi đưa"]), ("windows-874", "cp874", [THAI]), ("tis-620", "tis_620", [THAI]),
    ("koi8-r", "koi8_r", [RUSSIAN]), ("koi8-u", "koi8_u", [UKRAINIAN]), ("ibm866", "cp866", [RUSSIAN]), ("cp850", "cp850", ["Größe æøå"]),
    ("cp437", "cp437", ["Größe éà"]), ("macintosh", "mac_roman", [MACINTOSH]), ("x-mac-cyrillic", "mac_cyrillic", [RUSSIAN]),
    ("iso-2022-jp", "iso2022_jp", [JAPANESE]), ("ISO-2022-JP-1", "iso2022_jp_1", [JAPANESE, "丂丄"]),
    ("iso-2022-jp-2", "iso2022_jp_2", [JAPANESE, "Ξεσκεπάζω"]), ("iso-2022-jp", "iso2022_jp_ext", [KATAKANA]),
    ("shift_jis", "shift_jis", [JAPANESE, KATAKANA]), ("Shift_JIS", "cp932", [JAPANESE, JAPANESE_MORE]), ("cp932", "cp932", [JAPANESE_MORE]),
    ("windows-31j", "cp932", [JAPANESE_MORE]), ("euc-jp", "euc_jp", [JAPANESE, KATAKANA, "丂丄"]),
    ("gb2312", "gb2312", [CHINESE]), ("gb2312", "gbk", [CHINESE_GBK]), ("gbk", "gbk", [CHINESE, CHINESE_GBK]), ("gb18030", "gb18030", [CHINESE, CHINESE_ALL]),
    ("hz-gb-2312", "hz", [CHINESE, "a~b " + CHINESE]), ("big5", "big5", [TAIWANESE]), ("cp950", "cp950", [TAIWANESE]), ("big5-hkscs", "big5hkscs", [HONGKONG]),
    ("euc-kr", "euc_kr", [KOREAN]), ("ks_c_5601-1987", "cp949", [KOREAN, KOREAN_MORE]), ("cp949", "cp949", [KOREAN_MORE]),
    ("iso-2022-kr", "iso2022_kr", [KOREAN, "한글\nabc 한글"]),
    ("utf-7", "utf_7", [JAPANESE, GERMAN, "a+b-c"]), ("utf-16", "utf_16", [JAPANESE, CHINESE_ALL]), ("utf-16be", "utf_16_be", [CHINESE_ALL]),
    ("utf-16le", "utf_16_le", [CHINESE_ALL]), ("utf-32", "utf_32", [CHINESE_ALL]), ("utf-8", "utf_8", [CHINESE_ALL]), ("us-ascii", "ascii", ["plain"]),
]

for name, codec, texts in SAMPLES:
    for text in texts:
        print(name, text.encode(codec).hex(), text.encode().hex())
