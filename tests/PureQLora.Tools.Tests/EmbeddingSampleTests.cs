using System.Diagnostics;
using System.Reflection;
using System.Text.RegularExpressions;

namespace PureQLora.Tools.Tests;

/// <summary>The README's sample of embedding the engine, compiled and run as a program of its own that references only the libraries.</summary>
public sealed partial class EmbeddingSampleTests
{
    private static readonly string[] Libraries = ["PureQLora.Core", "PureQLora.Models", "PureQLora.Training"];

    [Fact]
    public async Task Sample_GivenOnlyTheLibraries_ShouldCompileAndRun()
    {
        string readme = Path.Combine(RepositoryPaths.Root, "README.md");
        Match sample = Sample().Match(File.Exists(readme) ? await File.ReadAllTextAsync(readme) : "");
        Assert.SkipUnless(sample.Success, "README.md has no C# block behind the comment <!-- sample: embed -->.");

        // Below the output, which is ignored, but cut off from the settings of the test projects.
        string folder = Path.Combine(AppContext.BaseDirectory, "embedding-sample");
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "Directory.Build.props"), "<Project />\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "Program.cs"), sample.Groups["code"].Value);
        await File.WriteAllTextAsync(Path.Combine(folder, "Sample.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <InvariantGlobalization>true</InvariantGlobalization>
              </PropertyGroup>
              <ItemGroup>
                {string.Concat(Libraries.Select(name => $"<ProjectReference Include=\"{Path.Combine(RepositoryPaths.Root, "src", name, $"{name}.csproj")}\" />"))}
              </ItemGroup>
            </Project>
            """);

        // The libraries are built already: the tests reference them.
        string configuration = typeof(EmbeddingSampleTests).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        (int built, string log) = await Dotnet(folder, "build", "-c", configuration, "-p:BuildProjectReferences=false", "--nologo", "-v", "q");
        Assert.True(built == 0, log);
        (int exitCode, string output) = await Dotnet(folder, Path.Combine(folder, "bin", configuration, "net10.0", "Sample.dll"));
        Assert.True(exitCode == 0, output);
        Assert.NotEqual("", output.Trim());
    }

    private static async Task<(int ExitCode, string Output)> Dotnet(string folder, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";

        // What the test host was told is not for another build.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase) && name != "MSBUILDDISABLENODEREUSE").ToArray())
        {
            start.Environment.Remove(name);
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output + await error);
    }

    [GeneratedRegex(@"<!-- sample: embed -->\s*```csharp\r?\n(?<code>.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Sample();
}
