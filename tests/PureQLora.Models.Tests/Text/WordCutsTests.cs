namespace PureQLora.Models.Tests;

public sealed class WordCutsTests
{
    private const string Alphabet = "abcd▁é語";

    [Theory]
    [InlineData(true, null, false)]      // bytes for what is unknown
    [InlineData(false, 0, true)]         // one unknown id for a run of it
    [InlineData(false, 0, false)]
    [InlineData(false, null, false)]     // unknown is dropped, and its neighbours meet
    public void Encode_GivenRandomMerges_ShouldGiveTheSameIdsWithCutsAndWithout(bool bytes, int? unknown, bool fuse)
    {
        int cuts = 0;
        for (int seed = 0; seed < 200; seed++)
        {
            Random random = new(seed);
            List<string> tokens = ["<unk>", .. Enumerable.Range(0, 256).Select(value => SentencePieceModel.SpellByte((byte)value)), .. Alphabet.Select(character => character.ToString())];
            Dictionary<int, int> symbols = Alphabet.ToDictionary(character => (int)character, character => tokens.IndexOf(character.ToString()));
            List<Merge> merges = [];
            for (int i = 0; i < 25; i++)
            {
                (int left, int right) = (random.Next(257, tokens.Count), random.Next(257, tokens.Count));
                string joined = tokens[left] + tokens[right];
                if (!tokens.Contains(joined))
                {
                    tokens.Add(joined);
                    merges.Add(new Merge(left, right, merges.Count, tokens.Count - 1));
                }
            }

            BpeModel Model(WordCuts? at) => new(symbols)
            {
                Merges = new MergeTable(merges),
                VocabularySize = tokens.Count,
                ByteIds = bytes ? [.. Enumerable.Range(1, 256)] : null,
                UnknownId = unknown,
                FuseUnknown = fuse,
                Cuts = at,
            };
            WordCuts places = new(symbols.Keys, merges.Select(merge => tokens[merge.Result]));
            (BpeModel whole, BpeModel cut) = (Model(null), Model(places));
            for (int round = 0; round < 50; round++)
            {
                string text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(9) == 0 ? "xß😀"[random.Next(2)] : Alphabet[random.Next(Alphabet.Length)]));
                text = random.Next(5) == 0 ? text.Insert(random.Next(text.Length), "😀") : text;
                Assert.Equal(Ids(whole, text), Ids(cut, text));
                cuts += places.Next(text, 0) < text.Length ? 1 : 0;
            }
        }

        Assert.InRange(cuts, 1000, 9999);
    }

    private static int[] Ids(BpeModel model, string text)
    {
        using IdBuffer ids = new(1);
        model.Encode(text, ids);
        return ids.Ids.ToArray();
    }
}
