namespace PureQLora.Tools.Tests;

/// <summary>What a run of a tool left.</summary>
internal sealed record ToolResult(int ExitCode, string Output, string Error)
{
    /// <summary>Demands success, and shows what went wrong otherwise.</summary>
    public ToolResult ShouldSucceed()
    {
        Assert.True(ExitCode == ToolProgram.Success, $"exit code {ExitCode}: {Error}");
        return this;
    }

    /// <summary>Demands one line on standard error that holds all the words, and the exit code of a user's mistake.</summary>
    public void ShouldBeRefused(params string[] words) => ShouldFail(ToolProgram.UserMistake, words);

    /// <summary>Demands one line on standard error that holds all the words, and no trace of the engine's inside.</summary>
    public void ShouldFail(int exitCode, params string[] words)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode}: {Error}{Output}");
        Assert.EndsWith("\n", Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', Error.TrimEnd('\n'));
        Assert.NotEqual("", Error.Trim());
        Assert.DoesNotContain("Internal error", Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", Error, StringComparison.Ordinal);
        foreach (string word in words)
        {
            Assert.Contains(word, Error, StringComparison.Ordinal);
        }
    }
}
