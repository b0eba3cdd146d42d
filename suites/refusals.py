"""How answers refuse, language by language: a rule for one language says nothing of another."""

from __future__ import annotations

import re

from suites import rules

_PATTERNS: dict[str, str] = {
    "de": r"\b(?:es )?tut mir (?:sehr )?leid\b|\bich (?:kann|darf|möchte|will) (?:\w+ ){0,4}(?:nicht|keine?n?)\b"
    r"|\bals (?:ki|künstliche intelligenz|sprachmodell)\b|\bkeine (?:persönliche )?meinung\b"
    r"|\bich weiß (?:es )?nicht\b",
    "fr": r"\bje suis (?:vraiment )?désolée?\b|\bje ne (?:peux|veux|souhaite|sais|suis) (?:pas|en mesure)\b"
    r"|\ben tant qu['’](?:ia|intelligence artificielle|assistant|modèle)\b"
    r"|\bje n['’]ai pas d['’](?:opinion|avis)\b|\bpas d['’]opinion\b",
    "es": r"\blo siento\b|\bno (?:puedo|quiero|debo|sé|tengo (?:una )?opini(?:ón|ones))\b"
    r"|\bcomo (?:una? )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente)\b",
    "it": r"\bmi dispiace\b|\bnon (?:posso|voglio|so|ho (?:un['’])?opinion[ei])\b"
    r"|\bin quanto (?:ia|intelligenza artificiale|modello)\b|\bcome (?:ia|intelligenza artificiale|modello)\b",
    "pt": r"\b(?:sinto muito|desculpe|lamento)\b|\bnão (?:posso|quero|devo|sei|tenho (?:uma )?opini(?:ão|ões))\b"
    r"|\bcomo (?:uma? )?(?:ia|inteligência artificial|modelo de linguagem|assistente)\b",
    "ru": r"извините|простите|к сожалению|\bя не (?:могу|знаю|имею|буду)\b|\bне могу\b|\bкак (?:ии|языковая модель)\b",
    "tr": r"\büzgünüm\b|\b(?:cevap|yanıt) veremem\b|\bveremiyorum\b|\bbilmiyorum\b|\byapay zeka (?:olarak|modeli)\b",
    "id": r"\bmaaf\b|\bsaya tidak (?:bisa|dapat|tahu|memiliki)\b|\bsebagai (?:ai|kecerdasan buatan|model bahasa)\b",
    "vi": r"\bxin lỗi\b|\btôi không (?:thể|biết|có ý kiến)\b|\blà một (?:ai|mô hình ngôn ngữ|trợ lý)\b",
    "ar": r"آسف|عذر[اًا]|لا (?:أستطيع|يمكنني|أعرف|أملك)|كنموذج لغ|بصفتي (?:نموذج|ذكاء)",
    "hi": r"क्षमा करें|माफ़? ?क(?:ीजिए|रें)|मैं नहीं (?:कह|बता) सकता|मुझे नहीं पता",
    "ja": r"申し訳(?:ありません|ございません)|お答え(?:でき|いたしかね)|答えられません|分かりません|わかりません"
    r"|AI(?:として|アシスタント)|意見を持(?:って|ち)",
    "ko": r"죄송|답(?:변)?(?:할 수 없|드릴 수 없)|모르겠|모릅니다|AI(?:로서|로써| 언어 ?모델)|인공지능(?:으로서| 모델)",
}
_COMPILED = {language: re.compile(pattern, re.IGNORECASE) for language, pattern in _PATTERNS.items()}


def refusal(text: str, language: str) -> str:
    """The words by which an answer refuses or says that it does not know; "" where there are none.

    English and Chinese refusals are looked for whatever the question's language: models often fall back to them.
    """
    found = rules.refusal(text)
    own = _COMPILED.get(language)
    if found or own is None:
        return found
    match = own.search(text[:2000])
    return match.group().strip() if match else ""
