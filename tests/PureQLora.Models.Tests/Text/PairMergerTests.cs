namespace PureQLora.Models.Tests;

public sealed class PairMergerTests
{
    [Theory]
    [InlineData(5)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(200)]
    public void Merge_GivenRandomMerges_ShouldEqualThePlainAlgorithm(int length)
    {
        for (int seed = 0; seed < 100; seed++)
        {
            Random random = new((seed * 1000) + length);
            List<Merge> merges = RandomMerges(random, equalRanks: seed % 2 == 0);
            int[] word = [.. Enumerable.Range(0, length).Select(_ => random.Next(20) == 0 ? -1 : random.Next(3))];
            int[] merged = [.. word];
            int count = PairMerger.Merge(merged, new MergeTable(merges));
            Assert.Equal(MergePlainly([.. word], merges), merged[..count]);
        }
    }

    [Fact]
    public void MergeTable_GivenAPairTwice_ShouldKeepTheLater()
    {
        MergeTable table = new([new Merge(1, 2, 0, 5), new Merge(1, 2, 7, 6)]);
        Assert.Equal((7UL << 32) | 6, table.Find(1, 2));
        Assert.Equal(MergeTable.None, table.Find(2, 1));
        Assert.Equal(MergeTable.None, table.Find(-1, -1));
    }

    /// <summary>Symbols stand for strings, as in a real vocabulary: the same string is the same symbol, whatever it was merged from.</summary>
    private static List<Merge> RandomMerges(Random random, bool equalRanks)
    {
        List<string> symbols = ["a", "b", "c"];
        List<Merge> merges = [];
        Dictionary<int, int> ranks = [];
        for (int i = 0; i < 60; i++)
        {
            (int left, int right) = (random.Next(Math.Min(9, symbols.Count)), random.Next(Math.Min(9, symbols.Count)));
            string joined = symbols[left] + symbols[right];
            int result = symbols.IndexOf(joined);
            if (result < 0)
            {
                result = symbols.Count;
                symbols.Add(joined);
            }

            if (merges.All(merge => (merge.Left, merge.Right) != (left, right)))
            {
                ranks.TryAdd(result, random.Next(12));
                merges.Add(new Merge(left, right, equalRanks ? ranks[result] : merges.Count, result));
            }
        }

        // In a trained vocabulary short symbols tend to come first; in any order at all the queue meets more stale entries.
        return equalRanks ? merges : [.. merges.Zip(Shuffled(random, merges.Count), (merge, rank) => merge with { Rank = rank })];
    }

    private static int[] Shuffled(Random random, int count)
    {
        int[] ranks = [.. Enumerable.Range(0, count)];
        random.Shuffle(ranks);
        return ranks;
    }

    private static List<int> MergePlainly(List<int> word, List<Merge> merges)
    {
        while (true)
        {
            (int Rank, int At, int Result) best = (int.MaxValue, -1, 0);
            for (int at = 0; at + 1 < word.Count; at++)
            {
                foreach (Merge merge in merges)
                {
                    if (merge.Left == word[at] && merge.Right == word[at + 1] && merge.Rank < best.Rank)
                    {
                        best = (merge.Rank, at, merge.Result);
                    }
                }
            }

            if (best.At < 0)
            {
                return word;
            }

            word[best.At] = best.Result;
            word.RemoveAt(best.At + 1);
        }
    }
}
