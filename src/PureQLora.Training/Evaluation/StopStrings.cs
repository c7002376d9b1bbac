namespace PureQLora.Training;

/// <summary>Cuts a generated text where the harness would have stopped the model.</summary>
public static class StopStrings
{
    /// <summary>For every stop string in order, keeps what stands before its first occurrence, wherever in the text that is.</summary>
    /// <param name="text">Generated text.</param>
    /// <param name="stops">The stop strings; empty ones are ignored.</param>
    /// <param name="endOfSequence">One more stop string, or null.</param>
    public static string Cut(string text, IReadOnlyList<string> stops, string? endOfSequence = null)
    {
        foreach (string stop in stops)
        {
            text = CutAt(text, stop);
        }

        return endOfSequence is null ? text : CutAt(text, endOfSequence);
    }

    private static string CutAt(string text, string stop)
    {
        int at = stop.Length == 0 ? -1 : text.IndexOf(stop, StringComparison.Ordinal);
        return at < 0 ? text : text[..at];
    }
}
