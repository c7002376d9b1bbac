namespace PureQLora.Models.Tests;

public sealed class WordCacheTests
{
    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("▁the")]
    [InlineData("123456789")]
    public void TryGet_GivenAWordThatWasAdded_ShouldGiveItsIds(string word)
    {
        WordCache cache = new();
        Assert.False(cache.TryGet(word, out _));
        cache.Add(word, [7, 8]);
        cache.Add(word + "x", []);
        Assert.True(cache.TryGet(word, out ReadOnlySpan<int> ids));
        Assert.Equal([7, 8], ids.ToArray());
        Assert.True(cache.TryGet(word + "x", out ids));
        Assert.True(ids.IsEmpty);
        Assert.False(cache.TryGet(word + "\0", out _));
    }

    [Fact]
    public void Add_GivenMoreWordsThanThereIsRoomFor_ShouldKeepTheLatestAndForgetOthers()
    {
        WordCache cache = new();
        for (int word = 0; word < 1_000_000; word++)
        {
            cache.Add($"{word}", [word]);
            Assert.True(cache.TryGet($"{word}", out ReadOnlySpan<int> ids) && ids[0] == word);
        }

        int kept = Enumerable.Range(0, 1_000_000).Count(word => cache.TryGet($"{word}", out _));
        Assert.InRange(kept, 100_000, 1 << 17);
        string tooLong = new('a', 49);
        cache.Add(tooLong, [1]);
        Assert.False(cache.TryGet(tooLong, out _));
    }

    [Fact]
    public void TryGet_GivenManyThreads_ShouldNeverGiveTheIdsOfAnotherWord()
    {
        WordCache cache = new();
        int wrong = 0;
        int found = 0;
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, thread =>
        {
            Random random = new(thread);
            for (int i = 0; i < 200_000; i++)
            {
                int value = random.Next(400_000);       // three times what there is room for, so that entries move all the time
                string word = $"{value}";
                if (cache.TryGet(word, out ReadOnlySpan<int> ids))
                {
                    Interlocked.Increment(ref found);
                    if (!ids.SequenceEqual([value, -value]))
                    {
                        Interlocked.Increment(ref wrong);
                    }
                }
                else
                {
                    cache.Add(word, [value, -value]);
                }
            }
        });
        Assert.Equal(0, wrong);
        Assert.InRange(found, 10_000, 1_600_000);
    }
}
