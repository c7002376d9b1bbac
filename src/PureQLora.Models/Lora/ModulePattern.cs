using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Regular expressions over module names, from strangers' files: matched in linear time, or refused.</summary>
internal static class ModulePattern
{
    private const int LongestPattern = 1000;
    private const int LargestCache = 4096;

    private static readonly ConcurrentDictionary<string, Regex> Compiled = new(StringComparer.Ordinal);

    /// <summary>Must match the whole name.</summary>
    public static Regex Whole(string pattern) => Get(pattern, $"^(?:{pattern})\\z");

    /// <summary>Must match the end of the name, starting at a dot or at the beginning.</summary>
    public static Regex End(string pattern) => Get(pattern, $"^(?:.*\\.)?(?:{pattern})\\z");

    /// <summary>Must match from the start of the name, not necessarily to its end.</summary>
    public static Regex Start(string pattern) => Get(pattern, $"^(?:{pattern})");

    private static Regex Get(string pattern, string anchored)
    {
        if (Compiled.TryGetValue(anchored, out Regex? known))
        {
            return known;
        }

        if (pattern.Length > LongestPattern)
        {
            throw new UserErrorException($"The module pattern \"{pattern[..40]}…\" has {pattern.Length} characters, allowed are {LongestPattern}; list the modules instead.");
        }

        try
        {
            // Alone first, so that a stray bracket cannot escape from the group around it.
            const RegexOptions Options = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;
            _ = new Regex(pattern, Options);
            Regex regex = new(anchored, Options, TimeSpan.FromSeconds(1));
            if (Compiled.Count >= LargestCache)
            {
                Compiled.Clear();
            }

            return Compiled.GetOrAdd(anchored, regex);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw new UserErrorException($"\"{pattern}\" is no regular expression that can be matched in linear time ({exception.Message.TrimEnd('.')}); name the modules plainly.", exception);
        }
    }
}
