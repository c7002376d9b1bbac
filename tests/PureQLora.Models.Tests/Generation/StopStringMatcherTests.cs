namespace PureQLora.Models.Tests;

public sealed class StopStringMatcherTests
{
    [Fact]
    public void Append_GivenTheBeginningOfAStopString_ShouldHoldItBack()
    {
        StopStringMatcher matcher = new(["\n\nQuestion", "END"]);
        Assert.Equal("It is 7.", matcher.Append("It is 7.\n"));
        Assert.Equal("", matcher.Append("\n"));
        Assert.Equal("\n\n\n", matcher.Append("\nE"));
        Assert.Equal("", matcher.Append("N"));
        Assert.False(matcher.Found);
        Assert.Equal("", matcher.Append("D of it"));
        Assert.True(matcher.Found);
        Assert.Equal("", matcher.Append("more"));
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void Flush_GivenAStopStringThatNeverEnds_ShouldReturnItsBeginning()
    {
        StopStringMatcher matcher = new(["####"]);
        Assert.Equal("a", matcher.Append("a##"));
        Assert.Equal("", matcher.Append("#"));
        Assert.Equal("###", matcher.Flush());
        Assert.False(matcher.Found);
    }

    [Fact]
    public void Append_GivenTwoStopStringsInOnePiece_ShouldCutAtTheFirst()
    {
        StopStringMatcher matcher = new(["second", "first"]);
        Assert.Equal("the ", matcher.Append("the first and second"));
        Assert.True(matcher.Found);
    }

    [Fact]
    public void Append_GivenAnyPieces_ShouldLetThroughWhatStandsBeforeTheStopString()
    {
        Random random = new(5);
        for (int round = 0; round < 3000; round++)
        {
            string text = Letters(random, 30);
            string stop = Letters(random, 1 + random.Next(6));
            StopStringMatcher matcher = new([stop]);
            string passed = "";
            for (int start = 0; start < text.Length;)
            {
                int length = Math.Min(1 + random.Next(5), text.Length - start);
                passed += matcher.Append(text.Substring(start, length));
                start += length;

                // Nothing is held back but what may become the stop string.
                string held = text[passed.Length..start];
                Assert.True(matcher.Found || (held.Length < stop.Length && stop.StartsWith(held, StringComparison.Ordinal)));
            }

            passed += matcher.Flush();
            int end = text.IndexOf(stop, StringComparison.Ordinal);
            Assert.Equal(end < 0 ? text : text[..end], passed);
            Assert.Equal(end >= 0, matcher.Found);
        }
    }

    // Two letters only, so that beginnings of stop strings are everywhere.
    private static string Letters(Random random, int count) =>
        string.Concat(Enumerable.Range(0, count).Select(_ => (char)('a' + random.Next(2))));
}
